#pragma once

#include "ops/operator.h"

namespace carnot {

// A convolution whose taps are moved by data, as PyTorch's deform_conv2d, over any number of axes.
// Inputs: x [N, C, spatial...], w [M, C / group, kernel...],
// offset [N, offsetGroups * taps * axes, out...]: how far each tap moves along each axis,
// optional bias [M], optional mask [N, offsetGroups * taps, out...]: a factor of each tap.
// Between elements values are linear, outside x they are 0. Output: [N, M, out...].
struct DeformConv {
  std::vector<int64_t> strides = {}, pads = {}, dilations = {};  // pads: begins, then ends
  int64_t group = 1;
  int64_t offsetGroups = 1;  // of input channels, each with taps of its own

  void visit(auto& fields) {
    fields("strides", strides);
    fields("pads", pads);
    fields("dilations", dilations);
    fields("group", group);
    fields("offsetGroups", offsetGroups);
  }
};
template <>
const OpDef& definitionOf<DeformConv>();

}  // namespace carnot
