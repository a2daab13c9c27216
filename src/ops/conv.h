#pragma once

#include "ops/operator.h"

namespace carnot {

// Convolution (cross-correlation, as ONNX has it) over any number of spatial axes.
// Inputs: x [N, C, spatial...], w [M, C / group, kernel...], optional bias [M].
// Output: [N, M, (spatial + pads - dilated kernel) / stride + 1 ...].
struct Conv {
  std::vector<int64_t> strides = {};
  std::vector<int64_t> pads = {};  // begins of every spatial axis, then ends
  std::vector<int64_t> dilations = {};
  int64_t group = 1;

  void visit(auto& fields) {
    fields("strides", strides);
    fields("pads", pads);
    fields("dilations", dilations);
    fields("group", group);
  }
};
template <>
const OpDef& definitionOf<Conv>();

}  // namespace carnot
