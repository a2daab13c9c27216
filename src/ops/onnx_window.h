#pragma once

#include <vector>

#include "ops/onnx_node.h"

namespace carnot {

// The window attributes of an ONNX node, every default filled in.
struct WindowAttributes {
  std::vector<int64_t> kernel, strides, pads, dilations;
  bool ceilMode = false;
};

// The kernel_shape attribute; without one, the spatial dims of the weights in input `weights`.
std::vector<int64_t> importKernel(const OnnxNode& node, size_t weights);
// `axes` attributes of a name, or `fallback` for each.
std::vector<int64_t> importPerAxis(const OnnxNode& node, std::string_view name, size_t axes,
                                   int64_t fallback);
// Of a convolution or pool over `input` [N, C, spatial...], auto_pad resolved. Throws Error
// (Unsupported) for SAME padding that depends on a symbolic dim.
WindowAttributes importWindow(const OnnxNode& node, const Shape& input,
                              std::vector<int64_t> kernel);

}  // namespace carnot
