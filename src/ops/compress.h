#pragma once

#include "ops/operator.h"

namespace carnot {

// The slices along an axis for which a list of Bools holds true; what it does not reach is left
// out.
struct Compress {
  int64_t axis = 0;  // non-negative

  void visit(auto& fields) { fields("axis", axis); }
};
template <>
const OpDef& definitionOf<Compress>();

}  // namespace carnot
