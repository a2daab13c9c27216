#include "ops/compress.h"

#include <algorithm>

#include "base/error.h"
#include "ops/define.h"
#include "ops/elements.h"
#include "ops/onnx_axes.h"
#include "ops/requirements.h"

namespace carnot {

static void infer(const Compress& compress, InferContext& context) {
  requireAxis(context, compress.axis);
  context.require(context.dtype(1) == DType::Bool && context.rank(1) == 1,
                  "a condition of type " + context.type(1).toString(), "a list of bool");
  Shape out = context.shape(0);
  Dim& extent = out[static_cast<size_t>(compress.axis)];
  extent = context.freshSymbol("compressed", extent);
  context.setOutput(0, context.dtype(0), std::move(out));
}

static void reference(const Compress& compress, const ReferenceContext& context) {
  const TensorView &x = context.in(0), &condition = context.in(1);
  const auto axis = static_cast<size_t>(compress.axis);
  const AxisSplit split = splitAt(x.dims, axis);
  std::vector<int64_t> kept;
  for (int64_t i = 0; i < std::min(condition.count(), split.extent); ++i)
    if (condition.loadBool(i)) kept.push_back(i);
  std::vector<int64_t> dims(x.dims.begin(), x.dims.end());
  dims[axis] = static_cast<int64_t>(kept.size());
  const TensorView y = context.allocate(0, std::move(dims));
  int64_t to = 0;
  for (int64_t outer = 0; outer < split.outer; ++outer)
    for (int64_t from : kept)
      for (int64_t inner = 0; inner < split.inner; ++inner)
        copyElement(x, (outer * split.extent + from) * split.inner + inner, y, to++);
}

static Cost cost(const Compress&, const CostContext& context) {
  return {.flops = 0, .bytes = context.allBytes()};
}

static void importCompress(OnnxNode& node) {
  OnnxNode::Ref x = node.requireInput(0);
  const OnnxNode::Ref condition = node.requireInput(1);
  Compress compress;
  if (node.hasAttribute("axis"))
    compress.axis = importAxis(node, "axis", 0, node.rankOf(x));
  else
    x = emitReshape(node, x, {node.shapeOf(x).elementCount()});
  node.setOutput(0, node.emit(Operator::of(compress), {x, condition}));
}

template <>
const OpDef& definitionOf<Compress>() {
  static const OpDef kRow = defineOperator<Compress>("Compress", Access::Opaque,
                                                     {{"", "Compress", 9, 0, importCompress}});
  return kRow;
}

}  // namespace carnot
