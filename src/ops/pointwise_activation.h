#pragma once

#include "ops/operator.h"

namespace carnot {

struct Relu {
  void visit(auto&) {}
};
template <>
const OpDef& definitionOf<Relu>();

}  // namespace carnot
