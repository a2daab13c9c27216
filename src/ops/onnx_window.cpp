#include "ops/onnx_window.h"

#include "base/error.h"

namespace carnot {

std::vector<int64_t> importKernel(const OnnxNode& node, size_t weights) {
  std::vector<int64_t> kernel = node.attributeInts("kernel_shape");
  if (!kernel.empty()) return kernel;
  const Shape& shape = node.shapeOf(node.requireInput(weights));
  for (size_t axis = 2; axis < shape.rank(); ++axis) {
    auto size = shape[axis].tryConstant();
    if (!size)
      node.unsupported(fmt::format("weights of shape {}", shape.toString()),
                       "a constant kernel size");
    kernel.push_back(*size);
  }
  return kernel;
}

std::vector<int64_t> importPerAxis(const OnnxNode& node, std::string_view name, size_t axes,
                                   int64_t fallback) {
  std::vector<int64_t> values = node.attributeInts(name);
  return values.empty() ? std::vector<int64_t>(axes, fallback) : values;
}

WindowAttributes importWindow(const OnnxNode& node, const Shape& input,
                              std::vector<int64_t> kernel) {
  const size_t axes = kernel.size();
  if (axes == 0 || input.rank() != axes + 2)
    throw Error(ErrorCode::InvalidModel,
                fmt::format("input of shape {} under a kernel of {} axes", input.toString(), axes),
                "[N, C] and as many spatial dims as the kernel, at least one");
  WindowAttributes window{.kernel = std::move(kernel),
                          .strides = importPerAxis(node, "strides", axes, 1),
                          .pads = {},
                          .dilations = importPerAxis(node, "dilations", axes, 1),
                          .ceilMode = node.attributeInt("ceil_mode", 0) != 0};
  const std::string autoPad = node.attributeString("auto_pad", "NOTSET");
  if (autoPad == "NOTSET" || autoPad.empty()) {
    window.pads = importPerAxis(node, "pads", 2 * axes, 0);
    return window;
  }
  window.pads.assign(2 * axes, 0);
  if (autoPad == "VALID") return window;
  const bool upper = autoPad == "SAME_UPPER";
  if (!upper && autoPad != "SAME_LOWER")
    throw Error(ErrorCode::InvalidModel, fmt::format("auto_pad \"{}\"", autoPad),
                "NOTSET, VALID, SAME_UPPER or SAME_LOWER");
  if (window.strides.size() != axes || window.dilations.size() != axes)
    throw Error(
        ErrorCode::InvalidModel,
        fmt::format("{} strides, {} dilations", window.strides.size(), window.dilations.size()),
        fmt::format("{}, one a spatial axis", axes));
  for (size_t axis = 0; axis < axes; ++axis) {
    const Dim stride = window.strides[axis];
    const Dim extent = (Dim(window.kernel[axis]) - 1) * Dim(window.dilations[axis]) + 1;
    const Dim& size = input[2 + axis];
    const Dim total = max(Dim(0), (ceilDiv(size, stride) - 1) * stride + extent - size);
    auto pads = total.tryConstant();
    if (!pads)
      node.unsupported(fmt::format("{} padding of {} elements along axis {}", autoPad,
                                   total.toString(), 2 + axis),
                       "pads that do not depend on the input's size",
                       "fix the input's spatial dims or export with explicit pads");
    window.pads[axis] = upper ? *pads / 2 : *pads - *pads / 2;
    window.pads[axes + axis] = *pads - window.pads[axis];
  }
  return window;
}

}  // namespace carnot
