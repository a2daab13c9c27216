#pragma once

#include "ops/operator.h"

namespace carnot {

// (x - mean) / sqrt(variance + epsilon) * scale + bias, mean and variance over the spatial dims.
// Inputs: x [N, C, spatial...], scale [C], bias [C].
struct InstanceNorm {
  double epsilon = 1e-5;

  void visit(auto& fields) { fields("epsilon", epsilon); }
};
template <>
const OpDef& definitionOf<InstanceNorm>();

}  // namespace carnot
