#pragma once

#include "ops/operator.h"

namespace carnot {

// Input: x. Outputs: the k largest or smallest elements along the axis, and their int64 indices. Of
// equal elements that with the lower index comes first. Always sorted.
struct TopK {
  int64_t axis = 0;  // non-negative
  bool largest = true;
  Shape k = Shape{1};  // one Dim: how many

  void visit(auto& fields) {
    fields("axis", axis);
    fields("largest", largest);
    fields("k", k);
  }
};
template <>
const OpDef& definitionOf<TopK>();

}  // namespace carnot
