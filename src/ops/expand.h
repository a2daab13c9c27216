#pragma once

#include "ops/operator.h"

namespace carnot {

// x broadcast to the shape.
struct Expand {
  Shape shape = {};  // the output's

  void visit(auto& fields) { fields("shape", shape); }
};
template <>
const OpDef& definitionOf<Expand>();

}  // namespace carnot
