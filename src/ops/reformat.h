#pragma once

#include "ops/operator.h"

namespace carnot {

// The same tensor in another memory layout; no change to its elements. Inserted by the layout phase.
struct Reformat {
  void visit(auto&) {}
};

}  // namespace carnot
