#pragma once

#include "ops/operator.h"

namespace carnot {

// Inputs: x, indices of x's rank. Output, of the dims of indices: at each position, x at that
// position with the axis' coordinate replaced by the index there.
struct GatherElements {
  int64_t axis = 0;  // non-negative

  void visit(auto& fields) { fields("axis", axis); }
};
template <>
const OpDef& definitionOf<GatherElements>();

}  // namespace carnot
