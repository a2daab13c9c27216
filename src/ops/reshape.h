#pragma once

#include "ops/operator.h"

namespace carnot {

// The same elements in the same order under other dims.
struct Reshape {
  Shape shape = {};  // fully resolved, as many elements as the input

  void visit(auto& fields) { fields("shape", shape); }
};
template <>
const OpDef& definitionOf<Reshape>();

}  // namespace carnot
