#pragma once

#include "ops/operator.h"

namespace carnot {

// The positions of all elements that are not zero: [rank, count], in row-major order.
struct NonZero {
  void visit(auto&) {}
};
template <>
const OpDef& definitionOf<NonZero>();

}  // namespace carnot
