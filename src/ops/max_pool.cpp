#include "ops/max_pool.h"

#include <cmath>
#include <limits>

#include "base/error.h"
#include "ops/define.h"
#include "ops/elements.h"
#include "ops/onnx_node.h"
#include "ops/onnx_window.h"
#include "ops/requirements.h"
#include "ops/window.h"

namespace carnot {

static Window windowOf(const MaxPool& pool) {
  return {pool.kernel, pool.strides, pool.pads, pool.dilations, pool.ceilMode};
}

static void infer(const MaxPool& pool, InferContext& context) {
  const Shape& x = context.shape(0);
  requireImage(context, 0);
  const Window window = windowOf(pool);
  requireWindow(context, window, x.rank() - 2);
  const Shape out = windowOutputShape(context, window, x, x[1]);
  context.setOutput(0, context.dtype(0), out);
  if (context.outputs.size() > 1) context.setOutput(1, DType::I64, out);
}

// The offset of a spatial element, given row-major, with the first spatial axis fastest.
static int64_t columnMajor(int64_t element, std::span<const int64_t> spatial) {
  int64_t offset = 0;
  for (size_t axis = spatial.size(); axis-- > 0; element /= spatial[axis]) {
    int64_t stride = 1;
    for (size_t before = 0; before < axis; ++before) stride *= spatial[before];
    offset += element % spatial[axis] * stride;
  }
  return offset;
}

static void reference(const MaxPool& pool, const ReferenceContext& context) {
  const auto spatial = context.in(0).dims.subspan(2), outSpatial = context.out(0).dims.subspan(2);
  const int64_t planes = context.in(0).dims[0] * context.in(0).dims[1];
  const int64_t inSize = elementCount(spatial), outSize = elementCount(outSpatial);
  const std::vector<double> x = loadDoubles(context.in(0));
  const bool indices = context.outputs.size() > 1 && context.out(1).data;
  std::vector<WindowTap> under;
  int64_t position = 0;
  forEachIndex(outSpatial, [&](std::span<const int64_t> at) {
    windowTaps(windowOf(pool), spatial, at, under);
    for (int64_t plane = 0; plane < planes; ++plane) {
      int64_t best = -1;
      for (const WindowTap& tap : under) {
        const int64_t i = plane * inSize + tap.element;
        const double value = x[static_cast<size_t>(i)];
        if (best < 0 || value > x[static_cast<size_t>(best)] ||
            (std::isnan(value) && !std::isnan(x[static_cast<size_t>(best)])))
          best = i;
      }
      const int64_t out = plane * outSize + position;
      if (best >= 0)
        copyElement(context.in(0), best, context.out(0), out);
      else
        storeLowest(context.out(0), out);
      if (!indices) continue;
      if (best >= 0 && pool.storageOrder != 0)
        best = plane * inSize + columnMajor(best % inSize, spatial);
      context.out(1).storeInt(out, best);
    }
    ++position;
  });
}

static Cost cost(const MaxPool& pool, const CostContext& context) {
  return {.flops = context.elements() * static_cast<double>(elementCount(pool.kernel)),
          .bytes = context.allBytes()};
}

static void importMaxPool(OnnxNode& node) {
  const OnnxNode::Ref x = node.requireInput(0);
  WindowAttributes window = importWindow(node, node.shapeOf(x), node.attributeInts("kernel_shape"));
  MaxPool pool{.kernel = std::move(window.kernel),
               .strides = std::move(window.strides),
               .pads = std::move(window.pads),
               .dilations = std::move(window.dilations),
               .ceilMode = window.ceilMode,
               .storageOrder = node.attributeInt("storage_order", 0)};
  const OnnxNode::Ref inputs[] = {x};
  const size_t count = node.outputUsed(1) ? 2 : 1;
  const auto outputs = node.emit(Operator::of(std::move(pool)), inputs, count);
  for (size_t i = 0; i < count; ++i) node.setOutput(i, outputs[i]);
}

template <>
const OpDef& definitionOf<MaxPool>() {
  static const OpDef kRow =
      defineOperator<MaxPool>("MaxPool", Access::Window, {{"", "MaxPool", 1, 0, importMaxPool}});
  return kRow;
}

}  // namespace carnot
