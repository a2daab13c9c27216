#pragma once

#include "ops/operator.h"

namespace carnot {

// Inputs: x, indices (int32 or int64; negative counts from the end). Output: x with the axis
// replaced by the dims of indices.
struct Gather {
  int64_t axis = 0;  // non-negative

  void visit(auto& fields) { fields("axis", axis); }
};
template <>
const OpDef& definitionOf<Gather>();

}  // namespace carnot
