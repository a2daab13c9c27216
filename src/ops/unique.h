#pragma once

#include "ops/operator.h"

namespace carnot {

// The slices along an axis that differ from each other, in ascending order (by their elements, row
// by row) or in that of their first appearance. Further outputs: where each first stands, which of
// them each slice is, how often each occurs.
struct Unique {
  int64_t axis = 0;  // non-negative
  bool sorted = true;

  void visit(auto& fields) {
    fields("axis", axis);
    fields("sorted", sorted);
  }
};
template <>
const OpDef& definitionOf<Unique>();

}  // namespace carnot
