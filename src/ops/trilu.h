#pragma once

#include "ops/operator.h"

namespace carnot {

// Inputs: x [..., rows, columns], optional k (int64 scalar, default 0). Keeps the elements on and
// above (upper) or on and below the k-th diagonal; others become 0.
struct Trilu {
  bool upper = true;

  void visit(auto& fields) { fields("upper", upper); }
};
template <>
const OpDef& definitionOf<Trilu>();

}  // namespace carnot
