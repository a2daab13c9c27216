#pragma once

#include "ops/operator.h"

namespace carnot {

// Output: the dims [start, end) of the input, int64 [end - start]; known as expressions.
struct ShapeOf {
  int64_t start = 0, end = 0;

  void visit(auto& fields) {
    fields("start", start);
    fields("end", end);
  }
};
template <>
const OpDef& definitionOf<ShapeOf>();

}  // namespace carnot
