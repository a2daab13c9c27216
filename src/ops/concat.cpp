#include "ops/concat.h"

#include "base/error.h"
#include "ops/contents.h"
#include "ops/define.h"
#include "ops/elements.h"
#include "ops/onnx_axes.h"
#include "ops/requirements.h"

namespace carnot {

static void reference(const Concat& concat, const ReferenceContext& context) {
  const TensorView& y = context.out(0);
  const auto axis = static_cast<size_t>(concat.axis);
  const AxisSplit whole = splitAt(y.dims, axis);
  int64_t start = 0;
  for (const TensorView& x : context.inputs) {
    const int64_t run = x.dims[axis] * whole.inner;
    for (int64_t outer = 0; outer < whole.outer; ++outer)
      for (int64_t i = 0; i < run; ++i)
        copyElement(x, outer * run + i, y, (outer * whole.extent + start) * whole.inner + i);
    start += x.dims[axis];
  }
}

static void infer(const Concat& concat, InferContext& context) {
  context.require(!context.inputs.empty(), "no inputs", "at least one");
  Shape out = context.shape(0);
  const auto axis = static_cast<size_t>(concat.axis);
  requireAxis(context, concat.axis);
  for (size_t i = 1; i < context.inputs.size(); ++i) {
    const Shape& x = context.shape(i);
    context.requireSameDType(0, i);
    context.require(x.rank() == out.rank(), fmt::format("input {} of shape {}", i, x.toString()),
                    fmt::format("the rank of {}", context.shape(0).toString()));
    for (size_t other = 0; other < out.rank(); ++other) {
      if (other == axis) continue;
      context.requireEqual(out[other], x[other],
                           fmt::format("axis {} of inputs {} and {}", other, 0, i));
      if (x[other].isConstant()) out[other] = x[other];
    }
    out[axis] = out[axis] + x[axis];
  }
  context.setOutput(0, context.dtype(0), std::move(out));
  std::vector<Dim> contents;
  if (context.rank(0) == 1) {  // of more dims nothing computes shapes
    for (size_t i = 0; i < context.inputs.size(); ++i) {
      auto part = context.contentsOf(i);
      if (!part) return;
      contents.insert(contents.end(), part->begin(), part->end());
    }
    setContents(context, 0, std::move(contents));
  }
}

static Cost cost(const Concat&, const CostContext& context) {
  return {.flops = 0, .bytes = context.allBytes()};
}

static void importConcat(OnnxNode& node) {
  std::vector<OnnxNode::Ref> inputs;
  inputs.reserve(node.inputCount());
  for (size_t i = 0; i < node.inputCount(); ++i) inputs.push_back(node.requireInput(i));
  const int64_t axis = importAxis(node, "axis", 1, node.rankOf(node.requireInput(0)));
  node.setOutput(0, node.emit(Operator::of(Concat{axis}), inputs));
}

// Inputs are runs of the output where nothing but 1 lies outside the axis.
static std::vector<Placement> placements(const Operator& op, const InferContext& context) {
  const auto axis = static_cast<size_t>(op.as<Concat>()->axis);
  const Shape& out = context.outputs[0].type.shape;
  if (out.elementCount(0, axis) != Dim(1)) return {};
  std::vector<Placement> parts;
  Dim start = 0;
  for (size_t i = 0; i < context.inputs.size(); ++i) {
    parts.push_back({.input = i, .inputInside = true, .offset = start});
    start = start + context.shape(i).elementCount();
  }
  return parts;
}

template <>
const OpDef& definitionOf<Concat>() {
  static const OpDef kRow = [] {
    OpDef row =
        defineOperator<Concat>("Concat", Access::Permute, {{"", "Concat", 1, 0, importConcat}});
    row.placements = placements;
    return row;
  }();
  return kRow;
}

}  // namespace carnot
