#include "ops/cum_sum.h"

#include "base/error.h"
#include "ops/define.h"
#include "ops/elements.h"
#include "ops/onnx_axes.h"
#include "ops/onnx_broadcast.h"
#include "ops/pointwise_binary.h"
#include "ops/requirements.h"
#include "ops/where.h"

namespace carnot {

namespace {

void inferRunning(InferContext& context, int64_t axis) {
  requireAxis(context, axis);
  requireReal(context, 0);
  context.setOutput(0, context.dtype(0), context.shape(0));
}

// Integers wrap through uint64_t.
template <typename T>
void runAlong(const auto& op, const AxisSplit& split, T start, auto&& combine, auto&& load,
              auto&& store) {
  for (int64_t outer = 0; outer < split.outer; ++outer) {
    for (int64_t inner = 0; inner < split.inner; ++inner) {
      T value = start;
      for (int64_t i = 0; i < split.extent; ++i) {
        const int64_t along = op.reverse ? split.extent - 1 - i : i;
        const int64_t at = (outer * split.extent + along) * split.inner + inner;
        const T before = value;
        value = combine(value, static_cast<T>(load(at)));
        store(at, op.exclusive ? before : value);
      }
    }
  }
}

void referenceRunning(const auto& op, const ReferenceContext& context, int start, auto&& combine) {
  const TensorView &x = context.in(0), &y = context.out(0);
  const AxisSplit split = splitAt(x.dims, static_cast<size_t>(op.axis));
  if (isFloat(x.dtype))
    runAlong<double>(
        op, split, start, combine, [&](int64_t i) { return x.loadDouble(i); },
        [&](int64_t i, double value) { y.storeDouble(i, value); });
  else
    runAlong<uint64_t>(
        op, split, static_cast<uint64_t>(start), combine, [&](int64_t i) { return x.loadInt(i); },
        [&](int64_t i, uint64_t value) { y.storeInt(i, static_cast<int64_t>(value)); });
}

template <typename T>
void importRunning(OnnxNode& node) {
  using Ref = OnnxNode::Ref;
  const Ref x = node.requireInput(0), axisInput = node.requireInput(1);
  const size_t rank = node.rankOf(x);
  auto along = [&](int64_t axis) {
    const T op{.axis = axis,
               .exclusive = node.attributeInt("exclusive", 0) != 0,
               .reverse = node.attributeInt("reverse", 0) != 0};
    return node.emit(Operator::of(op), {x});
  };
  if (node.constantOf(axisInput)) {
    const std::vector<int64_t> axis = node.requireConstantInts(1);
    if (axis.size() != 1)
      throw Error(ErrorCode::InvalidModel, fmt::format("{} axes", axis.size()), "one axis");
    node.setOutput(0, along(static_cast<int64_t>(normalizeAxis(axis[0], rank))));
    return;
  }
  // An axis of run time chooses among the results along each, which are few; modulo the rank.
  const Ref given = asScalar(node, axisInput);
  if (rank == 0) throw Error(ErrorCode::InvalidModel, "a scalar", "one axis or more");
  const Ref axis =
      node.emit(Operator::of(Mod{}), {given, scalarLike(node, given, static_cast<double>(rank))});
  Ref y = along(0);
  for (size_t i = 1; i < rank; ++i) {
    const Ref chosen =
        node.emit(Operator::of(Equal{}), {axis, scalarLike(node, axis, static_cast<double>(i))});
    y = node.emit(Operator::of(Where{}), {chosen, along(static_cast<int64_t>(i)), y});
  }
  node.setOutput(0, y);
}

}  // namespace

static void infer(const CumSum& op, InferContext& context) { inferRunning(context, op.axis); }
static void infer(const CumProd& op, InferContext& context) { inferRunning(context, op.axis); }

static void reference(const CumSum& op, const ReferenceContext& context) {
  referenceRunning(op, context, 0, [](auto a, auto b) { return a + b; });
}

static void reference(const CumProd& op, const ReferenceContext& context) {
  referenceRunning(op, context, 1, [](auto a, auto b) { return a * b; });
}

static Cost cost(const CumSum&, const CostContext& context) {
  return {.flops = context.elements(), .bytes = context.allBytes()};
}

static Cost cost(const CumProd&, const CostContext& context) {
  return {.flops = context.elements(), .bytes = context.allBytes()};
}

template <>
const OpDef& definitionOf<CumSum>() {
  static const OpDef kRow = defineOperator<CumSum>("CumSum", Access::Reduce,
                                                   {{"", "CumSum", 11, 0, importRunning<CumSum>}});
  return kRow;
}

template <>
const OpDef& definitionOf<CumProd>() {
  static const OpDef kRow = defineOperator<CumProd>(
      "CumProd", Access::Reduce, {{"", "CumProd", 26, 0, importRunning<CumProd>}});
  return kRow;
}

}  // namespace carnot
