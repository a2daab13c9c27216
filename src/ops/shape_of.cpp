#include "ops/shape_of.h"

#include <algorithm>

#include "base/error.h"
#include "ops/contents.h"
#include "ops/define.h"
#include "ops/onnx_node.h"
#include "ops/reduce.h"

namespace carnot {

static void infer(const ShapeOf& op, InferContext& context) {
  const Shape& x = context.shape(0);
  context.require(0 <= op.start && op.start <= op.end && op.end <= static_cast<int64_t>(x.rank()),
                  fmt::format("dims [{}, {})", op.start, op.end),
                  fmt::format("a range of {}", x.toString()));
  context.setOutput(0, DType::I64, {op.end - op.start});
  setContents(context, 0, {x.begin() + op.start, x.begin() + op.end});
}

static void reference(const ShapeOf& op, const ReferenceContext& context) {
  for (int64_t axis = op.start; axis < op.end; ++axis)
    context.out(0).storeInt(axis - op.start, context.in(0).dims[static_cast<size_t>(axis)]);
}

static Cost cost(const ShapeOf&, const CostContext&) { return {}; }

static void importShape(OnnxNode& node) {
  const OnnxNode::Ref x = node.requireInput(0);
  const auto rank = static_cast<int64_t>(node.rankOf(x));
  auto bound = [&](const char* name, int64_t fallback) {
    const int64_t given = node.attributeInt(name, fallback);
    return std::clamp<int64_t>(given < 0 ? given + rank : given, 0, rank);
  };
  ShapeOf op{.start = bound("start", 0), .end = bound("end", rank)};
  op.end = std::max(op.start, op.end);
  node.setOutput(0, node.emit(Operator::of(op), {x}));
}

static void importSize(OnnxNode& node) {
  const OnnxNode::Ref x = node.requireInput(0);
  const ShapeOf all{.start = 0, .end = static_cast<int64_t>(node.rankOf(x))};
  const OnnxNode::Ref dims = node.emit(Operator::of(all), {x});
  node.setOutput(0, node.emit(Operator::of(Reduce{ReduceKind::Prod, {0}, false}), {dims}));
}

template <>
const OpDef& definitionOf<ShapeOf>() {
  static const OpDef kRow =
      defineOperator<ShapeOf>("ShapeOf", Access::Opaque,
                              {{"", "Shape", 1, 0, importShape}, {"", "Size", 1, 0, importSize}});
  return kRow;
}

}  // namespace carnot
