#pragma once

#include "ops/operator.h"

namespace carnot {

// What an optional holds. Inputs: a tensor; a Bool without dims, whether it is there. A run where
// it is not throws Error (InvalidArgument).
struct OptionalElement {
  void visit(auto&) {}
};
template <>
const OpDef& definitionOf<OptionalElement>();

}  // namespace carnot
