#pragma once

#include "ops/operator.h"

namespace carnot {

// Reflect mirrors without repeating the edge.
enum class PadMode : uint8_t { Constant, Reflect, Edge, Wrap };
constexpr PadMode lastOf(PadMode) { return PadMode::Wrap; }

// Inputs: x, pads (int64 [2 * rank], begins of every axis, then ends; negative crops), whose
// contents are constant or known as expressions, optional value (a scalar of x's type; absent: 0).
struct Pad {
  PadMode mode = PadMode::Constant;

  void visit(auto& fields) { fields("mode", mode); }
};
template <>
const OpDef& definitionOf<Pad>();

// For each output element along an axis of `extent` the input's, or -1 for the constant. What
// negative pads crop is out of sight. Throws Error (InvalidArgument) when another mode than
// Constant finds nothing to repeat.
std::vector<int64_t> padSources(PadMode mode, int64_t extent, int64_t begin, int64_t end);

}  // namespace carnot
