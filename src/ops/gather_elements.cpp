#include "ops/gather_elements.h"

#include "base/error.h"
#include "ops/contents.h"
#include "ops/define.h"
#include "ops/elements.h"
#include "ops/onnx_axes.h"
#include "ops/requirements.h"

namespace carnot {

static void reference(const GatherElements& gather, const ReferenceContext& context) {
  const TensorView &x = context.in(0), &indices = context.in(1), &y = context.out(0);
  const std::vector<int64_t> strides = rowMajorStrides(x.dims);
  const auto axis = static_cast<size_t>(gather.axis);
  requireWithin(indices.dims, x.dims, axis);
  int64_t out = 0;
  forEachIndex(indices.dims, [&](std::span<const int64_t> at) {
    const int64_t index = wrapIndex(indices.loadInt(out), x.dims[axis]);
    copyElement(x, offsetOf(at, strides) + (index - at[axis]) * strides[axis], y, out);
    ++out;
  });
}

static void infer(const GatherElements& gather, InferContext& context) {
  const Shape &x = context.shape(0), &indices = context.shape(1);
  context.require(
      x.rank() == indices.rank() && gather.axis >= 0 &&
          gather.axis < static_cast<int64_t>(x.rank()),
      fmt::format("axis {} of {} by indices {}", gather.axis, x.toString(), indices.toString()),
      "one rank, and an axis of it");
  requireIndexType(context, 1);
  for (size_t axis = 0; axis < x.rank(); ++axis) {
    auto have = x[axis].tryConstant(), want = indices[axis].tryConstant();
    if (static_cast<int64_t>(axis) != gather.axis && have && want)
      context.require(*want <= *have,
                      fmt::format("indices {} into {}", indices.toString(), x.toString()),
                      "no more than its dims but along the axis");
  }
  context.setOutput(0, context.dtype(0), indices);
  moveContents(context, {0}, [&](const ReferenceContext& run) { reference(gather, run); });
}

static Cost cost(const GatherElements&, const CostContext& context) {
  return {.flops = 0, .bytes = context.allBytes()};
}

static void importGatherElements(OnnxNode& node) {
  const OnnxNode::Ref x = node.requireInput(0);
  const GatherElements gather{importAxis(node, "axis", 0, node.rankOf(x))};
  node.setOutput(0, node.emit(Operator::of(gather), {x, node.requireInput(1)}));
}

template <>
const OpDef& definitionOf<GatherElements>() {
  static const OpDef kRow = defineOperator<GatherElements>(
      "GatherElements", Access::Permute, {{"", "GatherElements", 11, 0, importGatherElements}});
  return kRow;
}

}  // namespace carnot
