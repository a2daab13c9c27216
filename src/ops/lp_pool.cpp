#include "ops/lp_pool.h"

#include <cmath>

#include "base/error.h"
#include "ops/define.h"
#include "ops/elements.h"
#include "ops/onnx_node.h"
#include "ops/onnx_window.h"
#include "ops/requirements.h"
#include "ops/window.h"

namespace carnot {

static Window windowOf(const LpPool& pool) {
  return {pool.kernel, pool.strides, pool.pads, pool.dilations, pool.ceilMode};
}

static void infer(const LpPool& pool, InferContext& context) {
  const Shape& x = context.shape(0);
  requireImage(context, 0);
  requireFloat(context, 0);
  context.require(pool.p >= 1, fmt::format("p {}", pool.p), "at least 1");
  const Window window = windowOf(pool);
  requireWindow(context, window, x.rank() - 2);
  context.setOutput(0, context.dtype(0), windowOutputShape(context, window, x, x[1]));
}

static void reference(const LpPool& pool, const ReferenceContext& context) {
  const auto spatial = context.in(0).dims.subspan(2), outSpatial = context.out(0).dims.subspan(2);
  const int64_t planes = context.in(0).dims[0] * context.in(0).dims[1];
  const int64_t inSize = elementCount(spatial), outSize = elementCount(outSpatial);
  const std::vector<double> x = loadDoubles(context.in(0));
  const auto p = static_cast<double>(pool.p);
  std::vector<WindowTap> under;
  int64_t position = 0;
  forEachIndex(outSpatial, [&](std::span<const int64_t> at) {
    windowTaps(windowOf(pool), spatial, at, under);
    for (int64_t plane = 0; plane < planes; ++plane) {
      double sum = 0;
      for (const WindowTap& tap : under)
        sum += std::pow(std::abs(x[static_cast<size_t>(plane * inSize + tap.element)]), p);
      context.out(0).storeDouble(plane * outSize + position, std::pow(sum, 1 / p));
    }
    ++position;
  });
}

static Cost cost(const LpPool& pool, const CostContext& context) {
  return {.flops = context.elements() * static_cast<double>(3 * elementCount(pool.kernel)),
          .bytes = context.allBytes()};
}

static void importLpPool(OnnxNode& node) {
  const OnnxNode::Ref x = node.requireInput(0);
  WindowAttributes window = importWindow(node, node.shapeOf(x), node.attributeInts("kernel_shape"));
  double p = node.opset() < 2 ? node.attributeFloat("p", 2)
                              : static_cast<double>(node.attributeInt("p", 2));
  if (p != std::floor(p)) node.unsupported(fmt::format("p {}", p), "a whole number");
  LpPool pool{.kernel = std::move(window.kernel),
              .strides = std::move(window.strides),
              .pads = std::move(window.pads),
              .dilations = std::move(window.dilations),
              .ceilMode = window.ceilMode,
              .p = static_cast<int64_t>(p)};
  node.setOutput(0, node.emit(Operator::of(std::move(pool)), {x}));
}

template <>
const OpDef& definitionOf<LpPool>() {
  static const OpDef kRow =
      defineOperator<LpPool>("LpPool", Access::Window, {{"", "LpPool", 1, 0, importLpPool}});
  return kRow;
}

}  // namespace carnot
