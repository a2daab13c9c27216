#pragma once

#include "ops/operator.h"

namespace carnot {

// x / sqrt(mean(x^2) + epsilon) * scale, the mean over the axes axis..rank-1.
// Inputs: x, scale broadcastable to x.
struct RmsNorm {
  int64_t axis = 0;  // non-negative
  double epsilon = 1e-5;

  void visit(auto& fields) {
    fields("axis", axis);
    fields("epsilon", epsilon);
  }
};
template <>
const OpDef& definitionOf<RmsNorm>();

}  // namespace carnot
