#include "ops/arg_reduce.h"

#include "base/error.h"
#include "ops/define.h"
#include "ops/elements.h"
#include "ops/onnx_axes.h"
#include "ops/requirements.h"

namespace carnot {

static void infer(const ArgReduce& reduce, InferContext& context) {
  Shape out = context.shape(0);
  requireAxis(context, reduce.axis);
  context.require(out[static_cast<size_t>(reduce.axis)] != Dim(0), "an axis without elements",
                  "at least one");
  std::vector<Dim> dims = out.dims();
  if (reduce.keepDims)
    dims[static_cast<size_t>(reduce.axis)] = 1;
  else
    dims.erase(dims.begin() + reduce.axis);
  context.setOutput(0, DType::I64, Shape(std::move(dims)));
}

static void reference(const ArgReduce& reduce, const ReferenceContext& context) {
  const TensorView& x = context.in(0);
  const AxisSplit split = splitAt(x.dims, static_cast<size_t>(reduce.axis));
  for (int64_t outer = 0; outer < split.outer; ++outer) {
    for (int64_t inner = 0; inner < split.inner; ++inner) {
      const int64_t start = outer * split.extent * split.inner + inner;
      int64_t best = 0;
      for (int64_t i = 1; i < split.extent; ++i) {
        const int64_t here = start + i * split.inner, there = start + best * split.inner;
        const bool better = reduce.max ? elementLess(x, there, here) : elementLess(x, here, there);
        const bool worse = reduce.max ? elementLess(x, here, there) : elementLess(x, there, here);
        if (better || (reduce.selectLast && !worse)) best = i;
      }
      context.out(0).storeInt(outer * split.inner + inner, best);
    }
  }
}

static Cost cost(const ArgReduce&, const CostContext& context) {
  return {.flops = static_cast<double>(elementCount(context.inputs[0].shape.concrete())),
          .bytes = context.allBytes()};
}

template <bool kMax>
static void importArgReduce(OnnxNode& node) {
  const OnnxNode::Ref x = node.requireInput(0);
  const ArgReduce reduce{.axis = importAxis(node, "axis", 0, node.rankOf(x)),
                         .keepDims = node.attributeInt("keepdims", 1) != 0,
                         .max = kMax,
                         .selectLast = node.attributeInt("select_last_index", 0) != 0};
  node.setOutput(0, node.emit(Operator::of(reduce), {x}));
}

template <>
const OpDef& definitionOf<ArgReduce>() {
  static const OpDef kRow = defineOperator<ArgReduce>(
      "ArgReduce", Access::Reduce,
      {{"", "ArgMax", 1, 0, importArgReduce<true>}, {"", "ArgMin", 1, 0, importArgReduce<false>}});
  return kRow;
}

}  // namespace carnot
