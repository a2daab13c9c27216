#pragma once

#include "ops/operator.h"

namespace carnot {

// Running sums along the axis: of the elements up to each one; exclusive leaves the element itself
// out, reverse sums from the end.
struct CumSum {
  int64_t axis = 0;  // non-negative
  bool exclusive = false;
  bool reverse = false;

  void visit(auto& fields) {
    fields("axis", axis);
    fields("exclusive", exclusive);
    fields("reverse", reverse);
  }
};
template <>
const OpDef& definitionOf<CumSum>();

// The same of products.
struct CumProd {
  int64_t axis = 0;  // non-negative
  bool exclusive = false;
  bool reverse = false;

  void visit(auto& fields) {
    fields("axis", axis);
    fields("exclusive", exclusive);
    fields("reverse", reverse);
  }
};
template <>
const OpDef& definitionOf<CumProd>();

}  // namespace carnot
