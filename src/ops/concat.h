#pragma once

#include "ops/operator.h"

namespace carnot {

// Inputs: one or more tensors that agree in all dims but the axis.
struct Concat {
  int64_t axis = 0;  // non-negative

  void visit(auto& fields) { fields("axis", axis); }
};
template <>
const OpDef& definitionOf<Concat>();

}  // namespace carnot
