#pragma once

#include "ops/operator.h"

namespace carnot {

// (x - mean) / sqrt(variance + epsilon) * scale + bias with given statistics.
// Inputs: x [N, C, ...], scale [C], bias [C], mean [C], variance [C].
struct BatchNorm {
  double epsilon = 1e-5;

  void visit(auto& fields) { fields("epsilon", epsilon); }
};
template <>
const OpDef& definitionOf<BatchNorm>();

}  // namespace carnot
