#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/hash.h"
#include "engine/engine.h"

namespace carnot {

// Where a weight's bytes stand in the file, and what they were when written.
struct WeightSection {
  uint64_t offset = 0;  // from the start of the weights
  uint64_t bytes = 0;
  Hash128 hash;
};

// Everything but the weights' bytes as a FlatBuffers table (schema/engine.fbs).
std::vector<std::byte> writeHead(const EngineData& engine, std::span<const WeightSection> sections);

// The other way. Trusts nothing: throws Error (InvalidModel) on a head that is no such table, and
// takes memory in proportion to its size. The weights' data are left empty; indices unchecked.
EngineData readHead(std::span<const std::byte> head, std::vector<WeightSection>& sections);

}  // namespace carnot
