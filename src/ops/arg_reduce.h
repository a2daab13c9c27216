#pragma once

#include "ops/operator.h"

namespace carnot {

// Input: x. Output: int64 indices of the largest or smallest elements along the axis, the first of
// equal ones unless selectLast.
struct ArgReduce {
  int64_t axis = 0;  // non-negative
  bool keepDims = true;
  bool max = true;
  bool selectLast = false;

  void visit(auto& fields) {
    fields("axis", axis);
    fields("keepDims", keepDims);
    fields("max", max);
    fields("selectLast", selectLast);
  }
};
template <>
const OpDef& definitionOf<ArgReduce>();

}  // namespace carnot
