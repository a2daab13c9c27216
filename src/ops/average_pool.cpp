#include "ops/average_pool.h"

#include <algorithm>

#include "base/error.h"
#include "ops/define.h"
#include "ops/elements.h"
#include "ops/onnx_node.h"
#include "ops/onnx_normalizations.h"
#include "ops/onnx_window.h"
#include "ops/requirements.h"
#include "ops/window.h"

namespace carnot {

static Window windowOf(const AveragePool& pool) {
  return {pool.kernel, pool.strides, pool.pads, pool.dilations, pool.ceilMode};
}

static void infer(const AveragePool& pool, InferContext& context) {
  const Shape& x = context.shape(0);
  requireImage(context, 0);
  requireFloat(context, 0);
  const Window window = windowOf(pool);
  requireWindow(context, window, x.rank() - 2);
  context.setOutput(0, context.dtype(0), windowOutputShape(context, window, x, x[1]));
}

// Elements of the window at `position` that lie inside the input and its pads.
static int64_t paddedCount(const Window& window, std::span<const int64_t> spatial,
                           std::span<const int64_t> position) {
  int64_t count = 1;
  for (size_t axis = 0; axis < window.axes(); ++axis) {
    const int64_t start = position[axis] * window.strides[axis];
    const int64_t room = window.padBegin(axis) + spatial[axis] + window.padEnd(axis) - start;
    const int64_t fit = (room + window.dilations[axis] - 1) / window.dilations[axis];
    count *= std::clamp<int64_t>(fit, 0, window.kernel[axis]);
  }
  return count;
}

static void reference(const AveragePool& pool, const ReferenceContext& context) {
  const auto spatial = context.in(0).dims.subspan(2), outSpatial = context.out(0).dims.subspan(2);
  const int64_t planes = context.in(0).dims[0] * context.in(0).dims[1];
  const int64_t inSize = elementCount(spatial), outSize = elementCount(outSpatial);
  const std::vector<double> x = loadDoubles(context.in(0));
  const Window window = windowOf(pool);
  std::vector<WindowTap> under;
  int64_t position = 0;
  forEachIndex(outSpatial, [&](std::span<const int64_t> at) {
    windowTaps(window, spatial, at, under);
    const int64_t count = pool.countIncludePad ? paddedCount(window, spatial, at)
                                               : static_cast<int64_t>(under.size());
    for (int64_t plane = 0; plane < planes; ++plane) {
      double sum = 0;
      for (const WindowTap& tap : under)
        sum += x[static_cast<size_t>(plane * inSize + tap.element)];
      context.out(0).storeDouble(plane * outSize + position,
                                 count == 0 ? 0 : sum / static_cast<double>(count));
    }
    ++position;
  });
}

static Cost cost(const AveragePool& pool, const CostContext& context) {
  return {.flops = context.elements() * static_cast<double>(elementCount(pool.kernel) + 1),
          .bytes = context.allBytes()};
}

static void importAveragePool(OnnxNode& node) {
  const OnnxNode::Ref x = node.requireInput(0);
  WindowAttributes window = importWindow(node, node.shapeOf(x), node.attributeInts("kernel_shape"));
  AveragePool pool{.kernel = std::move(window.kernel),
                   .strides = std::move(window.strides),
                   .pads = std::move(window.pads),
                   .dilations = std::move(window.dilations),
                   .ceilMode = window.ceilMode,
                   .countIncludePad = node.attributeInt("count_include_pad", 0) != 0};
  node.setOutput(0, node.emit(Operator::of(std::move(pool)), {x}));
}

template <>
const OpDef& definitionOf<AveragePool>() {
  static const OpDef kRow = defineOperator<AveragePool>(
      "AveragePool", Access::Window,
      {{"", "AveragePool", 1, 0, importAveragePool}, {"", "LRN", 1, 0, importLrn}});
  return kRow;
}

}  // namespace carnot
