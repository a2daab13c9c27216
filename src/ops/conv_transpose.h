#pragma once

#include "ops/operator.h"

namespace carnot {

// Transposed convolution: each input element adds its product with the kernel to the output.
// Inputs: x [N, C, spatial...], w [C, M / group, kernel...], optional bias [M].
// Output: [N, M, stride * (spatial - 1) + dilated kernel + outputPadding - pads ...].
struct ConvTranspose {
  std::vector<int64_t> strides = {};
  std::vector<int64_t> pads = {};  // begins of every spatial axis, then ends
  std::vector<int64_t> dilations = {};
  std::vector<int64_t> outputPadding = {};
  int64_t group = 1;

  void visit(auto& fields) {
    fields("strides", strides);
    fields("pads", pads);
    fields("dilations", dilations);
    fields("outputPadding", outputPadding);
    fields("group", group);
  }
};
template <>
const OpDef& definitionOf<ConvTranspose>();

}  // namespace carnot
