#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "ops/operator.h"

namespace carnot {

class OnnxNode;

// Geometry shared by convolutions and pools: per spatial axis a kernel, a stride, a dilation and
// two pads; `pads` holds the begins of every axis, then the ends.
struct Window {
  std::span<const int64_t> kernel, strides, pads, dilations;
  bool ceilMode = false;

  size_t axes() const { return kernel.size(); }
  int64_t padBegin(size_t axis) const { return pads[axis]; }
  int64_t padEnd(size_t axis) const { return pads[axes() + axis]; }
  // Elements that the dilated kernel spans: (kernel - 1) * dilation + 1.
  int64_t extent(size_t axis) const { return (kernel[axis] - 1) * dilations[axis] + 1; }
  // Positions of the window along an axis of this extent. In ceil mode a last window that would
  // start in the padding after the input is left out.
  int64_t outputSize(size_t axis, int64_t input) const;
  Dim outputDim(size_t axis, const Dim& input) const;
};

// Throws Error (InvalidModel) unless every field has `axes` (pads: twice) entries, kernel, strides
// and dilations positive and pads non-negative.
void requireWindow(const InferContext& context, const Window& window, size_t axes);
// [N, C] of `input` and the window's outputs over its other dims; `channels` replaces C.
Shape windowOutputShape(InferContext& context, const Window& window, const Shape& input,
                        const Dim& channels);

// The window attributes of an ONNX node with every default filled in and auto_pad resolved.
struct WindowAttributes {
  std::vector<int64_t> kernel, strides, pads, dilations;
  bool ceilMode = false;
};
// `input`: the node's data shape [N, C, spatial...]; `kernel`: kernel_shape's value when the node
// leaves it out (a convolution's weight dims). Throws Error (Unsupported) for SAME padding that
// depends on a symbolic dim.
WindowAttributes importWindow(const OnnxNode& node, const Shape& input,
                              std::vector<int64_t> kernel = {});

// Calls body(position) for every index of a row-major box, last axis fastest.
template <typename Body>
void forEachIndex(std::span<const int64_t> dims, Body&& body) {
  std::vector<int64_t> position(dims.size(), 0);
  for (int64_t dim : dims)
    if (dim == 0) return;
  for (;;) {
    body(std::span<const int64_t>(position));
    size_t axis = dims.size();
    while (axis > 0 && ++position[axis - 1] == dims[axis - 1]) position[--axis] = 0;
    if (axis == 0) return;
  }
}

}  // namespace carnot
