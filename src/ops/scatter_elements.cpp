#include "ops/scatter_elements.h"

#include "base/error.h"
#include "ops/contents.h"
#include "ops/define.h"
#include "ops/elements.h"
#include "ops/onnx_axes.h"
#include "ops/requirements.h"
#include "ops/scatter.h"

namespace carnot {

static void reference(const ScatterElements& scatter, const ReferenceContext& context) {
  const TensorView &x = context.in(0), &indices = context.in(1), &y = context.out(0);
  const std::vector<int64_t> strides = rowMajorStrides(x.dims);
  const auto axis = static_cast<size_t>(scatter.axis);
  requireWithin(indices.dims, x.dims, axis);
  copyTensor(x, y);
  int64_t i = 0;
  forEachIndex(indices.dims, [&](std::span<const int64_t> at) {
    const int64_t index = wrapIndex(indices.loadInt(i), x.dims[axis]);
    const int64_t to = offsetOf(at, strides) + (index - at[axis]) * strides[axis];
    scatterElement(scatter.reduction, context.in(2), i++, y, to);
  });
}

static void infer(const ScatterElements& scatter, InferContext& context) {
  const Shape &x = context.shape(0), &indices = context.shape(1), &updates = context.shape(2);
  context.requireSameDType(0, 2);
  requireIndexType(context, 1);
  context.require(x.rank() == indices.rank() && x.rank() == updates.rank() && scatter.axis >= 0 &&
                      scatter.axis < static_cast<int64_t>(x.rank()),
                  fmt::format("axis {} of {} by indices {} and updates {}", scatter.axis,
                              x.toString(), indices.toString(), updates.toString()),
                  "one rank, and an axis of it");
  for (size_t axis = 0; axis < x.rank(); ++axis) {
    context.requireEqual(indices[axis], updates[axis],
                         fmt::format("axis {} of indices and updates", axis));
    auto have = x[axis].tryConstant(), want = indices[axis].tryConstant();
    if (static_cast<int64_t>(axis) != scatter.axis && have && want)
      context.require(*want <= *have,
                      fmt::format("indices {} into {}", indices.toString(), x.toString()),
                      "no more than its dims but along the axis");
  }
  context.setOutput(0, context.dtype(0), x);
  if (scatter.reduction == ScatterReduction::None)
    moveContents(context, {0, 2}, [&](const ReferenceContext& run) { reference(scatter, run); });
}

static Cost cost(const ScatterElements& scatter, const CostContext& context) {
  const auto updates = static_cast<double>(elementCount(context.inputs[2].shape.concrete()));
  return {.flops = scatter.reduction == ScatterReduction::None ? 0 : updates,
          .bytes = context.allBytes()};
}

static void importScatterElements(OnnxNode& node) {
  const OnnxNode::Ref x = node.requireInput(0);
  const ScatterElements scatter{.axis = importAxis(node, "axis", 0, node.rankOf(x)),
                                .reduction = importReduction(node)};
  node.setOutput(0,
                 node.emit(Operator::of(scatter), {x, node.requireInput(1), node.requireInput(2)}));
}

template <>
const OpDef& definitionOf<ScatterElements>() {
  static const OpDef kRow =
      defineOperator<ScatterElements>("ScatterElements", Access::Opaque,
                                      {{"", "ScatterElements", 11, 0, importScatterElements},
                                       {"", "Scatter", 9, 10, importScatterElements}});
  return kRow;
}

}  // namespace carnot
