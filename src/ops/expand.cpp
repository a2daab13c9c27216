#include "ops/expand.h"

#include "base/convert.h"
#include "base/error.h"
#include "ops/contents.h"
#include "ops/define.h"
#include "ops/elements.h"
#include "ops/onnx_axes.h"
#include "ops/requirements.h"

namespace carnot {

static void reference(const Expand&, const ReferenceContext& context) {
  const TensorView &x = context.in(0), &y = context.out(0);
  const std::vector<int64_t> strides = broadcastStrides(x.dims, y.dims);
  int64_t out = 0;
  forEachIndex(y.dims, [&](std::span<const int64_t> at) {
    copyElement(x, offsetOf(at, strides), y, out++);
  });
}

static void infer(const Expand& expand, InferContext& context) {
  const Shape& x = context.shape(0);
  requireDims(context, expand.shape);
  context.require(x.rank() <= expand.shape.rank(),
                  fmt::format("{} expanded to {}", x.toString(), expand.shape.toString()),
                  "at least the input's rank");
  const size_t offset = expand.shape.rank() - x.rank();
  for (size_t axis = 0; axis < x.rank(); ++axis)
    if (x[axis] != Dim(1))
      context.requireEqual(x[axis], expand.shape[offset + axis],
                           fmt::format("{} expanded to {}", x.toString(), expand.shape.toString()));
  context.setOutput(0, context.dtype(0), expand.shape);
  moveContents(context, {0}, [&](const ReferenceContext& run) { reference(expand, run); });
}

static Cost cost(const Expand&, const CostContext& context) {
  return {.flops = 0, .bytes = context.allBytes()};
}

// Both ways: where the target says 1 the input's dim stays.
static void importExpand(OnnxNode& node) {
  const OnnxNode::Ref x = node.requireInput(0);
  const Shape& input = node.shapeOf(x);
  std::vector<Dim> target = importDims(node, 1);
  if (target.size() < input.rank())
    target.insert(target.begin(), input.rank() - target.size(), Dim(1));
  const size_t offset = target.size() - input.rank();
  for (size_t axis = 0; axis < input.rank(); ++axis)
    if (target[offset + axis] == Dim(1)) target[offset + axis] = input[axis];
  node.setOutput(0, node.emit(Operator::of(Expand{Shape(std::move(target))}), {x}));
}

static void importConstantOfShape(OnnxNode& node) {
  Tensor value = node.attributeTensor("value");
  if (value.empty()) value = Tensor::scalar(DType::F32, 0);
  if (value.count() != 1)
    throw Error(ErrorCode::InvalidModel, fmt::format("a value of {} elements", value.count()),
                "one element");
  const OnnxNode::Ref scalar = node.constant(value.reshaped({}));
  const Shape shape(importDims(node, 0));
  node.setOutput(0, shape.rank() == 0 ? scalar : node.emit(Operator::of(Expand{shape}), {scalar}));
}

// Repeats along an axis of extent d: [d] seen as [1, d], expanded to [repeats, d], seen as [repeats
// * d].
static void importTile(OnnxNode& node) {
  const OnnxNode::Ref x = node.requireInput(0);
  const Shape& input = node.shapeOf(x);
  std::vector<Dim> repeats;
  if (node.opset() < 6) {
    repeats.assign(input.rank(), Dim(1));
    const size_t axis = normalizeAxis(truncateToInt(node.requireConstantScalar(2)), input.rank());
    repeats[axis] = Dim(truncateToInt(node.requireConstantScalar(1)));
  } else {
    repeats = importDims(node, 1);
  }
  if (repeats.size() != input.rank())
    throw Error(ErrorCode::InvalidModel, fmt::format("{} repeats", repeats.size()),
                fmt::format("one for each dim of {}", input.toString()));
  Shape split, expanded, joined;
  for (size_t axis = 0; axis < input.rank(); ++axis) {
    joined.push(input[axis] * repeats[axis]);
    if (repeats[axis] != Dim(1) && input[axis] != Dim(1)) {
      split.push(1);
      expanded.push(repeats[axis]);
    }
    split.push(input[axis]);
    expanded.push(input[axis] == Dim(1) ? repeats[axis] : input[axis]);
  }
  OnnxNode::Ref y = emitReshape(node, x, split);
  if (expanded != split) y = node.emit(Operator::of(Expand{expanded}), {y});
  node.setOutput(0, emitReshape(node, y, joined));
}

template <>
const OpDef& definitionOf<Expand>() {
  static const OpDef kRow =
      defineOperator<Expand>("Expand", Access::Permute,
                             {{"", "Expand", 8, 0, importExpand},
                              {"", "Tile", 1, 0, importTile},
                              {"", "ConstantOfShape", 9, 0, importConstantOfShape}});
  return kRow;
}

}  // namespace carnot
