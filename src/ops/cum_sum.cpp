#include "ops/cum_sum.h"

#include "base/error.h"
#include "ops/define.h"
#include "ops/elements.h"
#include "ops/onnx_node.h"
#include "ops/requirements.h"

namespace carnot {

static void infer(const CumSum& op, InferContext& context) {
  const Shape& x = context.shape(0);
  requireAxis(context, op.axis);
  requireReal(context, 0);
  context.setOutput(0, context.dtype(0), x);
}

// Integers wrap through uint64_t.
template <typename T>
static void sumAlong(const CumSum& op, const AxisSplit& split, auto&& load, auto&& store) {
  for (int64_t outer = 0; outer < split.outer; ++outer) {
    for (int64_t inner = 0; inner < split.inner; ++inner) {
      T sum = 0;
      for (int64_t i = 0; i < split.extent; ++i) {
        const int64_t along = op.reverse ? split.extent - 1 - i : i;
        const int64_t at = (outer * split.extent + along) * split.inner + inner;
        const T before = sum;
        sum += static_cast<T>(load(at));
        store(at, op.exclusive ? before : sum);
      }
    }
  }
}

static void reference(const CumSum& op, const ReferenceContext& context) {
  const TensorView &x = context.in(0), &y = context.out(0);
  const AxisSplit split = splitAt(x.dims, static_cast<size_t>(op.axis));
  if (isFloat(x.dtype))
    sumAlong<double>(
        op, split, [&](int64_t i) { return x.loadDouble(i); },
        [&](int64_t i, double sum) { y.storeDouble(i, sum); });
  else
    sumAlong<uint64_t>(
        op, split, [&](int64_t i) { return x.loadInt(i); },
        [&](int64_t i, uint64_t sum) { y.storeInt(i, static_cast<int64_t>(sum)); });
}

static Cost cost(const CumSum&, const CostContext& context) {
  return {.flops = context.elements(), .bytes = context.allBytes()};
}

static void importCumSum(OnnxNode& node) {
  const OnnxNode::Ref x = node.requireInput(0);
  const std::vector<int64_t> axis = node.requireConstantInts(1);
  if (axis.size() != 1)
    throw Error(ErrorCode::InvalidModel, fmt::format("{} axes", axis.size()), "one axis");
  const CumSum op{.axis = static_cast<int64_t>(normalizeAxis(axis[0], node.rankOf(x))),
                  .exclusive = node.attributeInt("exclusive", 0) != 0,
                  .reverse = node.attributeInt("reverse", 0) != 0};
  node.setOutput(0, node.emit(Operator::of(op), {x}));
}

template <>
const OpDef& definitionOf<CumSum>() {
  static const OpDef kRow =
      defineOperator<CumSum>("CumSum", Access::Reduce, {{"", "CumSum", 11, 0, importCumSum}});
  return kRow;
}

}  // namespace carnot
