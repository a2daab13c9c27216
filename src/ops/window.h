#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "ops/operator.h"

namespace carnot {

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
  // Positions of the window along an axis. In ceil mode a partial last window counts, unless it
  // would start in the padding after the input.
  Dim outputDim(size_t axis, const Dim& input) const;
  int64_t outputSize(size_t axis, int64_t input) const { return outputDim(axis, input).constant(); }
};

// Throws Error (InvalidModel) unless every field has `axes` (pads: twice) entries, kernel, strides
// and dilations positive and pads non-negative.
void requireWindow(const InferContext& context, const Window& window, size_t axes);
// [N, channels] and the window's outputs over the other dims of `input` [N, C, spatial...].
Shape windowOutputShape(const InferContext& context, const Window& window, const Shape& input,
                        const Dim& channels);

// An element under the window: row-major offsets into the input's spatial dims and into the kernel.
struct WindowTap {
  int64_t element, kernel;
};
// The elements of an input of `spatial` dims under the window at `position`; those in the padding
// are left out. For a transposed convolution: of the output, at a position of the input.
void windowTaps(const Window& window, std::span<const int64_t> spatial,
                std::span<const int64_t> position, std::vector<WindowTap>& taps);

}  // namespace carnot
