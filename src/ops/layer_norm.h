#pragma once

#include "ops/operator.h"

namespace carnot {

// (x - mean) / sqrt(variance + epsilon) * scale + bias, mean and variance over the axes
// axis..rank-1. Inputs: x, scale, optional bias; the last two broadcast to x.
struct LayerNorm {
  int64_t axis = 0;  // non-negative
  double epsilon = 1e-5;

  void visit(auto& fields) {
    fields("axis", axis);
    fields("epsilon", epsilon);
  }
};
template <>
const OpDef& definitionOf<LayerNorm>();

}  // namespace carnot
