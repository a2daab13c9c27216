#pragma once

#include "ops/operator.h"

namespace carnot {

// Matrix product with NumPy's semantics: the last two dims multiply, those before broadcast; a
// rank-1 a is a row, a rank-1 b a column, and that dim leaves the output. transposeA and transposeB
// swap the last two dims of an operand of rank >= 2 first. Floating point accumulates in float32 or
// wider, integers wrap in their own type.
struct MatMul {
  bool transposeA = false, transposeB = false;

  void visit(auto& fields) {
    fields("transposeA", transposeA);
    fields("transposeB", transposeB);
  }
};
template <>
const OpDef& definitionOf<MatMul>();

}  // namespace carnot
