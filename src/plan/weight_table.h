#pragma once

#include <cstdint>
#include <unordered_map>
#include <vector>

#include "engine/engine.h"

namespace carnot {

// The weight sections of an engine and its bodies under construction; equal ones are shared.
class WeightTable {
 public:
  int32_t indexOf(const Tensor& tensor);
  size_t size() const { return weights_.size(); }
  void dropFrom(size_t count);
  std::vector<EngineWeight> take() { return std::move(weights_); }

 private:
  std::vector<EngineWeight> weights_;
  std::unordered_multimap<uint64_t, int32_t> byHash_;
};

}  // namespace carnot
