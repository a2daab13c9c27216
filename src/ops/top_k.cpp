#include "ops/top_k.h"

#include <algorithm>
#include <numeric>

#include "base/error.h"
#include "ops/define.h"
#include "ops/elements.h"
#include "ops/onnx_axes.h"
#include "ops/requirements.h"

namespace carnot {

static void infer(const TopK& top, InferContext& context) {
  Shape out = context.shape(0);
  requireAxis(context, top.axis);
  requireDims(context, top.k);
  context.require(top.k.rank() == 1, fmt::format("k {}", top.k.toString()), "one Dim");
  Dim& extent = out[static_cast<size_t>(top.axis)];
  auto k = top.k[0].tryConstant(), available = extent.tryConstant();
  if (k)
    context.require(*k >= 0 && (!available || *k <= *available), fmt::format("k {}", *k),
                    fmt::format("at most the {} elements", extent.toString()));
  extent = top.k[0];
  context.setOutput(0, context.dtype(0), out);
  if (context.outputs.size() > 1) context.setOutput(1, DType::I64, out);
}

static void reference(const TopK& top, const ReferenceContext& context) {
  const TensorView &x = context.in(0), &y = context.out(0);
  const auto axis = static_cast<size_t>(top.axis);
  const AxisSplit split = splitAt(x.dims, axis);
  const int64_t k = y.dims[axis];
  if (k > split.extent)
    throw Error(ErrorCode::InvalidArgument, fmt::format("top {} of {} elements", k, split.extent),
                "a smaller k");
  std::vector<int64_t> order(static_cast<size_t>(split.extent));
  for (int64_t outer = 0; outer < split.outer; ++outer) {
    for (int64_t inner = 0; inner < split.inner; ++inner) {
      const int64_t start = outer * split.extent * split.inner + inner;
      std::iota(order.begin(), order.end(), 0);
      std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) {
        if (top.largest) std::swap(a, b);
        return elementLess(x, start + a * split.inner, start + b * split.inner);
      });
      for (int64_t i = 0; i < k; ++i) {
        const int64_t from = order[static_cast<size_t>(i)];
        const int64_t to = (outer * k + i) * split.inner + inner;
        copyElement(x, start + from * split.inner, y, to);
        if (context.outputs.size() > 1) context.out(1).storeInt(to, from);
      }
    }
  }
}

static Cost cost(const TopK&, const CostContext& context) {
  return {.flops = 4 * static_cast<double>(elementCount(context.inputs[0].shape.concrete())),
          .bytes = context.allBytes()};
}

static void importTopK(OnnxNode& node) {
  const OnnxNode::Ref x = node.requireInput(0);
  TopK top{.axis = importAxis(node, "axis", -1, node.rankOf(x)),
           .largest = node.attributeInt("largest", 1) != 0};
  if (node.opset() < 10) {
    top.k = Shape{node.attributeInt("k", 0)};
  } else {
    top.k = Shape(importDims(node, 1));
    if (top.k.rank() != 1)
      throw Error(ErrorCode::InvalidModel, fmt::format("k {}", top.k.toString()), "one number");
  }
  const OnnxNode::Ref inputs[] = {x};
  const auto outputs = node.emit(Operator::of(std::move(top)), inputs, 2);
  for (size_t i = 0; i < 2; ++i) node.setOutput(i, outputs[i]);
}

template <>
const OpDef& definitionOf<TopK>() {
  static const OpDef kRow =
      defineOperator<TopK>("TopK", Access::Opaque, {{"", "TopK", 1, 0, importTopK}});
  return kRow;
}

}  // namespace carnot
