#pragma once

#include "ops/operator.h"
#include "ops/scatter_nd.h"

namespace carnot {

// Inputs: x, indices of x's rank, updates of the dims of indices. Output: x where at each position
// of indices, its axis' coordinate replaced by the index there, the update is put or combined, in
// order.
struct ScatterElements {
  int64_t axis = 0;  // non-negative
  ScatterReduction reduction = ScatterReduction::None;

  void visit(auto& fields) {
    fields("axis", axis);
    fields("reduction", reduction);
  }
};
template <>
const OpDef& definitionOf<ScatterElements>();

}  // namespace carnot
