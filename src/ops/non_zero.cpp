#include "ops/non_zero.h"

#include "base/error.h"
#include "ops/define.h"
#include "ops/elements.h"
#include "ops/onnx_node.h"

namespace carnot {

static void infer(const NonZero&, InferContext& context) {
  const Shape& x = context.shape(0);
  context.setOutput(
      0, DType::I64,
      {static_cast<int64_t>(x.rank()), context.freshSymbol("nonzero", x.elementCount())});
}

static void reference(const NonZero&, const ReferenceContext& context) {
  const TensorView& x = context.in(0);
  std::vector<int64_t> found;
  for (int64_t i = 0; i < x.count(); ++i) {
    const bool zero = isComplex(x.dtype) ? x.loadComplex(i) == 0.0 : !x.loadBool(i);
    if (!zero) found.push_back(i);
  }
  const auto count = static_cast<int64_t>(found.size());
  const auto rank = static_cast<int64_t>(x.dims.size());
  const TensorView y = context.allocate(0, {rank, count});
  const std::vector<int64_t> strides = rowMajorStrides(x.dims);
  for (int64_t i = 0; i < count; ++i)
    for (int64_t axis = 0; axis < rank; ++axis) {
      const auto at = static_cast<size_t>(axis);
      y.storeInt(axis * count + i, found[static_cast<size_t>(i)] / strides[at] % x.dims[at]);
    }
}

static Cost cost(const NonZero&, const CostContext& context) {
  return {.flops = 0, .bytes = context.allBytes()};
}

template <>
const OpDef& definitionOf<NonZero>() {
  static const OpDef kRow = defineOperator<NonZero>(
      "NonZero", Access::Opaque, {{"", "NonZero", 9, 0, [](OnnxNode& node) {
                                     const OnnxNode::Ref x = node.requireInput(0);
                                     node.setOutput(0, node.emit(Operator::of(NonZero{}), {x}));
                                   }}});
  return kRow;
}

}  // namespace carnot
