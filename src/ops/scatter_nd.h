#pragma once

#include "ops/operator.h"

namespace carnot {

// How a scattered element meets what is there.
enum class ScatterReduction : uint8_t { None, Add, Mul, Max, Min };
constexpr ScatterReduction lastOf(ScatterReduction) { return ScatterReduction::Min; }

// Inputs: x, indices [..., n], updates. Output: x with the slices that the coordinates name
// replaced by, or combined with, the updates, in order.
struct ScatterNd {
  ScatterReduction reduction = ScatterReduction::None;

  void visit(auto& fields) { fields("reduction", reduction); }
};
template <>
const OpDef& definitionOf<ScatterNd>();

}  // namespace carnot
