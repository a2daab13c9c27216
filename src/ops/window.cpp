#include "ops/window.h"

#include <algorithm>

#include "base/error.h"
#include "ops/elements.h"

namespace carnot {

Dim Window::outputDim(size_t axis, const Dim& input) const {
  const int64_t stride = strides[axis];
  if (!ceilMode)
    return floorDiv(input + (padBegin(axis) + padEnd(axis) - extent(axis)), Dim(stride)) + 1;
  // ceil((input + pads - extent) / stride) + 1 windows fit, ceil((input + padBegin) / stride) start
  // before the padding after the input; the lesser counts.
  const int64_t slack = std::min<int64_t>(0, padEnd(axis) - extent(axis) + stride);
  return floorDiv(input + (padBegin(axis) + slack + stride - 1), Dim(stride));
}

// Keeps products of two attributes within 64 bits.
static constexpr int64_t kMost = INT32_MAX;

void requireWindow(const InferContext& context, const Window& window, size_t axes) {
  auto requireList = [&](std::span<const int64_t> list, size_t count, int64_t least,
                         const char* name) {
    context.require(list.size() == count, fmt::format("{} {}", list.size(), name),
                    fmt::format("{} for {} spatial axes", count, axes));
    for (int64_t value : list)
      context.require(value >= least && value <= kMost, fmt::format("{} in {}", value, name),
                      fmt::format("at least {}, at most {}", least, kMost));
  };
  requireList(window.kernel, axes, 1, "kernel sizes");
  requireList(window.strides, axes, 1, "strides");
  requireList(window.dilations, axes, 1, "dilations");
  requireList(window.pads, 2 * axes, 0, "pads");
}

Shape windowOutputShape(const InferContext& context, const Window& window, const Shape& input,
                        const Dim& channels) {
  Shape out{input[0], channels};
  for (size_t axis = 0; axis < window.axes(); ++axis) {
    const Dim& size = input[2 + axis];
    if (auto known = size.tryConstant(); known && *known > 0) {
      const int64_t padded = *known + window.padBegin(axis) + window.padEnd(axis);
      context.require(padded >= window.extent(axis),
                      fmt::format("{} elements with the pads along axis {}", padded, 2 + axis),
                      fmt::format("at least the {} that the kernel spans", window.extent(axis)));
    }
    out.push(window.outputDim(axis, size));
  }
  return out;
}

void windowTaps(const Window& window, std::span<const int64_t> spatial,
                std::span<const int64_t> position, std::vector<WindowTap>& taps) {
  taps.clear();
  int64_t kernel = 0;
  forEachIndex(window.kernel, [&](std::span<const int64_t> tap) {
    int64_t element = 0;
    bool inside = true;
    for (size_t axis = 0; axis < window.axes(); ++axis) {
      const int64_t at = position[axis] * window.strides[axis] - window.padBegin(axis) +
                         tap[axis] * window.dilations[axis];
      inside = inside && at >= 0 && at < spatial[axis];
      element = element * spatial[axis] + at;
    }
    if (inside) taps.push_back({element, kernel});
    ++kernel;
  });
}

}  // namespace carnot
