#include "ops/trilu.h"

#include "base/error.h"
#include "ops/define.h"
#include "ops/elements.h"
#include "ops/onnx_node.h"

namespace carnot {

static void infer(const Trilu&, InferContext& context) {
  const Shape& x = context.shape(0);
  context.require(x.rank() >= 2, fmt::format("input of shape {}", x.toString()), "at least 2 dims");
  if (context.has(1))
    context.require(context.dtype(1) == DType::I64 && context.shape(1).elementCount() == Dim(1),
                    fmt::format("k of type {}", context.type(1).toString()), "an int64 scalar");
  context.setOutput(0, context.dtype(0), x);
}

static void reference(const Trilu& trilu, const ReferenceContext& context) {
  const TensorView &x = context.in(0), &y = context.out(0);
  const int64_t k = context.has(1) ? context.in(1).loadInt(0) : 0;
  const auto matrix = x.dims.last(2);
  zeroElements(y);
  for (int64_t i = 0; i < x.count(); ++i) {
    const int64_t row = i / matrix[1] % matrix[0], column = i % matrix[1];
    if (trilu.upper ? column - row >= k : column - row <= k) copyElement(x, i, y, i);
  }
}

static Cost cost(const Trilu&, const CostContext& context) {
  return {.flops = 0, .bytes = context.allBytes()};
}

static void importTrilu(OnnxNode& node) {
  const Trilu trilu{.upper = node.attributeInt("upper", 1) != 0};
  std::vector<OnnxNode::Ref> inputs = {node.requireInput(0)};
  if (node.hasInput(1)) inputs.push_back(node.input(1));
  node.setOutput(0, node.emit(Operator::of(trilu), inputs));
}

template <>
const OpDef& definitionOf<Trilu>() {
  static const OpDef kRow =
      defineOperator<Trilu>("Trilu", Access::Permute, {{"", "Trilu", 14, 0, importTrilu}});
  return kRow;
}

}  // namespace carnot
