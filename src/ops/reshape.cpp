#include "ops/reshape.h"

#include <algorithm>
#include <cstring>

#include "base/error.h"
#include "ops/contents.h"
#include "ops/define.h"
#include "ops/onnx_axes.h"
#include "ops/onnx_blocks.h"
#include "ops/requirements.h"

namespace carnot {

static void infer(const Reshape& reshape, InferContext& context) {
  const Shape& x = context.shape(0);
  requireDims(context, reshape.shape);
  context.requireEqual(
      x.elementCount(), reshape.shape.elementCount(),
      fmt::format("elements of {} and of {}", x.toString(), reshape.shape.toString()));
  context.setOutput(0, context.dtype(0), reshape.shape);
  if (auto contents = context.contentsOf(0)) setContents(context, 0, std::move(*contents));
}

static void reference(const Reshape&, const ReferenceContext& context) {
  if (size_t bytes = context.in(0).bytes(); bytes != 0)
    std::memcpy(context.out(0).data, context.in(0).data, bytes);
}

static Cost cost(const Reshape&, const CostContext&) { return {}; }

// The shape that ONNX's target stands for: 0 keeps the input's dim, one -1 takes what is left.
static Shape resolveTarget(const Shape& input, std::vector<Dim> target, bool allowZero) {
  std::optional<size_t> open;
  for (size_t axis = 0; axis < target.size(); ++axis) {
    if (target[axis] == Dim(0) && !allowZero) {
      if (axis >= input.rank())
        throw Error(ErrorCode::InvalidModel,
                    fmt::format("0 at position {} of the target shape", axis),
                    fmt::format("an input dim there; the input is {}", input.toString()));
      target[axis] = input[axis];
    } else if (target[axis] == Dim(-1)) {
      if (open)
        throw Error(ErrorCode::InvalidModel, "several -1 in the target shape", "at most one");
      open = axis;
    } else if (auto size = target[axis].tryConstant(); size && *size < 0) {
      throw Error(ErrorCode::InvalidModel, fmt::format("{} in the target shape", *size),
                  "-1, 0 or a dim");
    }
  }
  if (!open) return Shape(std::move(target));
  // Dims that both sides have cancel before the division, which knows less about sums.
  std::vector<Dim> have(input.begin(), input.end());
  Dim taken = 1;
  for (size_t axis = 0; axis < target.size(); ++axis) {
    if (axis == *open) continue;
    auto same = std::find(have.begin(), have.end(), target[axis]);
    if (same != have.end() && *same != Dim(0))
      have.erase(same);
    else
      taken = taken * target[axis];
  }
  Dim left = 1;
  for (const Dim& dim : have) left = left * dim;
  if (taken == Dim(0))
    throw Error(ErrorCode::InvalidModel, "-1 beside a dim of 0 in the target shape",
                "dims that leave -1 determined");
  if (left.isConstant() && taken.isConstant() && left.constant() % taken.constant() != 0)
    throw Error(ErrorCode::InvalidModel,
                fmt::format("input of shape {} reshaped to {} times -1", input.toString(),
                            taken.toString()),
                "a divisor of the element count");
  target[*open] = floorDiv(left, taken);
  return Shape(std::move(target));
}

static void importReshape(OnnxNode& node) {
  const OnnxNode::Ref x = node.requireInput(0);
  std::vector<Dim> target;
  if (node.opset() < 5) {
    const std::vector<int64_t> sizes = node.attributeInts("shape");
    target.assign(sizes.begin(), sizes.end());
  } else {
    target = importDims(node, 1);
  }
  const bool allowZero = node.attributeInt("allowzero", 0) != 0;
  Shape shape = resolveTarget(node.shapeOf(x), std::move(target), allowZero);
  node.setOutput(0, node.emit(Operator::of(Reshape{std::move(shape)}), {x}));
}

static void importSqueeze(OnnxNode& node) {
  const OnnxNode::Ref x = node.requireInput(0);
  const Shape& shape = node.shapeOf(x);
  const auto axes = importAxes(node, 1, "axes", shape.rank());
  Shape out;
  for (size_t axis = 0; axis < shape.rank(); ++axis) {
    if (!axes) {
      if (shape[axis] != Dim(1)) out.push(shape[axis]);
      continue;
    }
    if (std::find(axes->begin(), axes->end(), static_cast<int64_t>(axis)) == axes->end()) {
      out.push(shape[axis]);
    } else if (compare(shape[axis], Dim(1)) == Equality::No) {
      throw Error(ErrorCode::InvalidModel,
                  fmt::format("axis {} of {} squeezed", axis, shape.toString()), "an extent of 1");
    }
  }
  node.setOutput(0, node.emit(Operator::of(Reshape{std::move(out)}), {x}));
}

static void importUnsqueeze(OnnxNode& node) {
  const OnnxNode::Ref x = node.requireInput(0);
  const Shape& shape = node.shapeOf(x);
  const size_t count =
      node.hasInput(1) ? node.requireConstantInts(1).size() : node.attributeInts("axes").size();
  const auto axes = importAxes(node, 1, "axes", shape.rank() + count);
  if (!axes) throw Error(ErrorCode::InvalidModel, "no axes", "the axes to insert");
  Shape out;
  for (size_t axis = 0, from = 0; axis < shape.rank() + count; ++axis) {
    const bool inserted =
        std::find(axes->begin(), axes->end(), static_cast<int64_t>(axis)) != axes->end();
    out.push(inserted ? Dim(1) : shape[from++]);
  }
  node.setOutput(0, node.emit(Operator::of(Reshape{std::move(out)}), {x}));
}

static void importFlatten(OnnxNode& node) {
  const OnnxNode::Ref x = node.requireInput(0);
  const Shape& shape = node.shapeOf(x);
  const int64_t given = node.attributeInt("axis", 1);
  const size_t axis = given == static_cast<int64_t>(shape.rank())
                          ? shape.rank()
                          : normalizeAxis(given, shape.rank());
  Shape out{shape.elementCount(0, axis), shape.elementCount(axis, shape.rank())};
  node.setOutput(0, node.emit(Operator::of(Reshape{std::move(out)}), {x}));
}

template <>
const OpDef& definitionOf<Reshape>() {
  static const OpDef kRow = [] {
    OpDef row = defineOperator<Reshape>("Reshape", Access::View,
                                        {{"", "Reshape", 1, 0, importReshape},
                                         {"", "Squeeze", 1, 0, importSqueeze},
                                         {"", "Unsqueeze", 1, 0, importUnsqueeze},
                                         {"", "Flatten", 1, 0, importFlatten},
                                         {"", "DepthToSpace", 1, 0, importDepthToSpace},
                                         {"", "SpaceToDepth", 1, 0, importSpaceToDepth}});
    row.placements = [](const Operator&, const InferContext&) {
      return std::vector<Placement>{{.input = 0, .inputInside = false, .offset = 0}};
    };
    return row;
  }();
  return kRow;
}

}  // namespace carnot
