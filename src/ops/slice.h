#pragma once

#include "ops/operator.h"

namespace carnot {

// ONNX Slice. Inputs: x, starts, ends: int64 [axes], whose contents are constant or known as
// expressions. Negative starts and ends count from the end of the axis; both are clamped to it.
struct Slice {
  std::vector<int64_t> axes = {};   // non-negative, distinct
  std::vector<int64_t> steps = {};  // one an axis, not 0; negative walks backwards

  void visit(auto& fields) {
    fields("axes", axes);
    fields("steps", steps);
  }
};
template <>
const OpDef& definitionOf<Slice>();

// Where ONNX's start falls: forward in [0, extent], backward in [0, extent - 1] (-1 when empty).
int64_t sliceStart(int64_t start, int64_t step, int64_t extent);

}  // namespace carnot
