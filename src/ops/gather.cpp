#include "ops/gather.h"

#include "base/error.h"
#include "ops/contents.h"
#include "ops/define.h"
#include "ops/elements.h"
#include "ops/onnx_axes.h"
#include "ops/requirements.h"

namespace carnot {

static void reference(const Gather& gather, const ReferenceContext& context) {
  const TensorView &x = context.in(0), &y = context.out(0);
  const AxisSplit split = splitAt(x.dims, static_cast<size_t>(gather.axis));
  const std::vector<int64_t> indices = loadInts(context.in(1));
  int64_t out = 0;
  for (int64_t outer = 0; outer < split.outer; ++outer) {
    for (int64_t index : indices) {
      const int64_t row = outer * split.extent + wrapIndex(index, split.extent);
      for (int64_t i = 0; i < split.inner; ++i) copyElement(x, row * split.inner + i, y, out++);
    }
  }
}

static void infer(const Gather& gather, InferContext& context) {
  const Shape& x = context.shape(0);
  const auto axis = static_cast<size_t>(gather.axis);
  requireAxis(context, gather.axis);
  requireIndexType(context, 1);
  Shape out;
  for (size_t i = 0; i < axis; ++i) out.push(x[i]);
  for (const Dim& dim : context.shape(1)) out.push(dim);
  for (size_t i = axis + 1; i < x.rank(); ++i) out.push(x[i]);
  context.setOutput(0, context.dtype(0), std::move(out));
  moveContents(context, {0}, [&](const ReferenceContext& run) { reference(gather, run); });
}

static Cost cost(const Gather&, const CostContext& context) {
  const double moved = static_cast<double>(
      dtypeBytes(context.outputs[0].dtype, elementCount(context.outputs[0].shape.concrete())));
  const double indices = static_cast<double>(
      dtypeBytes(context.inputs[1].dtype, elementCount(context.inputs[1].shape.concrete())));
  return {.flops = 0, .bytes = 2 * moved + indices};
}

static void importGather(OnnxNode& node) {
  const OnnxNode::Ref x = node.requireInput(0);
  const int64_t axis = importAxis(node, "axis", 0, node.rankOf(x));
  node.setOutput(0, node.emit(Operator::of(Gather{axis}), {x, node.requireInput(1)}));
}

template <>
const OpDef& definitionOf<Gather>() {
  static const OpDef kRow =
      defineOperator<Gather>("Gather", Access::Permute, {{"", "Gather", 1, 0, importGather}});
  return kRow;
}

}  // namespace carnot
