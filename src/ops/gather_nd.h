#pragma once

#include "ops/operator.h"

namespace carnot {

// Inputs: x, indices [..., n]: the last dim is a coordinate into the n axes of x after the batch
// dims. Output: indices' dims but the last, then the dims of x that no coordinate reaches.
struct GatherNd {
  int64_t batchDims = 0;

  void visit(auto& fields) { fields("batchDims", batchDims); }
};
template <>
const OpDef& definitionOf<GatherNd>();

}  // namespace carnot
