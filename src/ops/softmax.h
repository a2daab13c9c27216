#pragma once

#include "ops/operator.h"

namespace carnot {

// exp(x - max) / sum(exp(x - max)) along the axis, or its logarithm.
struct Softmax {
  int64_t axis = -1;  // non-negative once imported
  bool logarithm = false;

  void visit(auto& fields) {
    fields("axis", axis);
    fields("logarithm", logarithm);
  }
};
template <>
const OpDef& definitionOf<Softmax>();

}  // namespace carnot
