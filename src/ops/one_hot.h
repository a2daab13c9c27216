#pragma once

#include "ops/operator.h"

namespace carnot {

// Inputs: indices, values [2] (off, on). Output: indices' dims with `depth` inserted at the axis:
// on where the coordinate is the index (negative counts from the end), else off; all off outside
// the range.
struct OneHot {
  int64_t axis = 0;        // non-negative, of the output
  Shape depth = Shape{1};  // one Dim

  void visit(auto& fields) {
    fields("axis", axis);
    fields("depth", depth);
  }
};
template <>
const OpDef& definitionOf<OneHot>();

}  // namespace carnot
