#pragma once

#include "ops/operator.h"

namespace carnot {

// (x - mean) / sqrt(variance + epsilon) * scale + bias, mean and variance over each of `groups`
// equal runs of channels and the spatial dims. Inputs: x [N, C, spatial...], scale [C], bias [C].
struct GroupNorm {
  int64_t groups = 1;
  double epsilon = 1e-5;

  void visit(auto& fields) {
    fields("groups", groups);
    fields("epsilon", epsilon);
  }
};
template <>
const OpDef& definitionOf<GroupNorm>();

}  // namespace carnot
