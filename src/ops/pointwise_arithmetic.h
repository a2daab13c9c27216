#pragma once

#include "ops/operator.h"

namespace carnot {

struct Add {
  void visit(auto&) {}
};
template <>
const OpDef& definitionOf<Add>();

}  // namespace carnot
