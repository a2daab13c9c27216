#pragma once

#include "ops/operator.h"

namespace carnot {

// (condition, a, b): a where the condition holds, else b.
struct Where {
  void visit(auto&) {}
};
template <>
const OpDef& definitionOf<Where>();

}  // namespace carnot
