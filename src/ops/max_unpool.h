#pragma once

#include "ops/operator.h"

namespace carnot {

// Puts what MaxPool kept where it was, 0 elsewhere. Inputs: x, indices int64 of x's shape:
// row-major offsets into the output. Output: `shape`.
struct MaxUnpool {
  Shape shape;

  void visit(auto& fields) { fields("shape", shape); }
};
template <>
const OpDef& definitionOf<MaxUnpool>();

}  // namespace carnot
