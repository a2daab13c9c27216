#include "ops/onnx_axes.h"

#include <algorithm>
#include <numeric>

#include "base/error.h"
#include "ops/cast.h"
#include "ops/range.h"
#include "ops/reshape.h"
#include "ops/shape_of.h"
#include "ops/slice.h"
#include "ops/symbolic.h"
#include "ops/transpose.h"

namespace carnot {

std::optional<std::vector<int64_t>> importAxes(const OnnxNode& node, size_t input,
                                               std::string_view attribute, size_t rank) {
  std::vector<int64_t> axes;
  if (node.hasInput(input)) {
    axes = node.requireConstantInts(input);
  } else {
    if (!node.hasAttribute(attribute)) return std::nullopt;
    axes = node.attributeInts(attribute);
  }
  for (size_t i = 0; i < axes.size(); ++i) {
    axes[i] = static_cast<int64_t>(normalizeAxis(axes[i], rank));
    if (std::find(axes.begin(), axes.begin() + static_cast<ptrdiff_t>(i), axes[i]) !=
        axes.begin() + static_cast<ptrdiff_t>(i))
      throw Error(ErrorCode::InvalidModel, fmt::format("axis {} twice", axes[i]), "distinct axes");
  }
  return axes;
}

int64_t importAxis(const OnnxNode& node, std::string_view name, int64_t fallback, size_t rank) {
  return static_cast<int64_t>(normalizeAxis(node.attributeInt(name, fallback), rank));
}

std::vector<Dim> importDims(const OnnxNode& node, size_t i) {
  OnnxNode::Ref ref = node.requireInput(i);
  if (node.rankOf(ref) > 1)
    throw Error(ErrorCode::InvalidModel,
                fmt::format("input {} of shape {}", i, node.shapeOf(ref).toString()),
                "a list of integers");
  if (auto contents = node.contentsOf(ref)) return *contents;
  if (const Tensor* constant = node.constantOf(ref)) {
    std::vector<int64_t> values = constant->toInts();
    return {values.begin(), values.end()};
  }
  node.unsupported(fmt::format("a shape computed from data (input {})", i),
                   "a constant, or arithmetic on the dims of inputs",
                   "fix that input of the node to a constant");
}

OnnxNode::Ref emitInts(OnnxNode& node, const std::vector<int64_t>& values) {
  return node.constant(Tensor::ofInts({static_cast<int64_t>(values.size())}, values));
}

OnnxNode::Ref emitDims(OnnxNode& node, const std::vector<Dim>& values) {
  const Shape shape(values);
  if (shape.isStatic()) return emitInts(node, shape.concrete());
  Symbolic symbolic{.values = shape, .dims = {static_cast<int64_t>(values.size())}};
  return node.emit(Operator::of(std::move(symbolic)), std::span<const OnnxNode::Ref>());
}

OnnxNode::Ref ofRank(const OnnxNode& node, OnnxNode::Ref x, size_t rank, std::string_view dims) {
  if (node.rankOf(x) != rank)
    throw Error(ErrorCode::InvalidModel,
                fmt::format("a tensor of shape {}", node.shapeOf(x).toString()), std::string(dims));
  return x;
}

OnnxNode::Ref emitReshape(OnnxNode& node, OnnxNode::Ref x, Shape shape) {
  if (node.shapeOf(x) == shape) return x;
  return node.emit(Operator::of(Reshape{std::move(shape)}), {x});
}

OnnxNode::Ref emitTranspose(OnnxNode& node, OnnxNode::Ref x, std::vector<int64_t> perm) {
  std::vector<int64_t> identity(perm.size());
  std::iota(identity.begin(), identity.end(), 0);
  if (perm == identity) return x;
  return node.emit(Operator::of(Transpose{std::move(perm)}), {x});
}

OnnxNode::Ref emitCast(OnnxNode& node, OnnxNode::Ref x, DType to) {
  return node.dtypeOf(x) == to ? x : node.emit(Operator::of(Cast{.to = to}), {x});
}

DType commonFloat(DType a, DType b) {
  if (a == b) return a;
  return a == DType::F64 || b == DType::F64 ? DType::F64 : DType::F32;
}

OnnxNode::Ref emitSlice(OnnxNode& node, OnnxNode::Ref x, int64_t axis, int64_t start, int64_t end) {
  return node.emit(Operator::of(Slice{.axes = {axis}, .steps = {1}}),
                   {x, emitInts(node, {start}), emitInts(node, {end})});
}

OnnxNode::Ref emitPositions(OnnxNode& node, OnnxNode::Ref x, int64_t axis) {
  if (auto extent = node.shapeOf(x)[static_cast<size_t>(axis)].tryConstant()) {
    std::vector<int64_t> positions(static_cast<size_t>(*extent));
    std::iota(positions.begin(), positions.end(), 0);
    return emitInts(node, positions);
  }
  const OnnxNode::Ref extent =
      node.emit(Operator::of(ShapeOf{.start = axis, .end = axis + 1}), {x});
  return node.emit(
      Operator::of(Range{}),
      {node.scalar(DType::I64, 0), emitReshape(node, extent, {}), node.scalar(DType::I64, 1)});
}

OnnxNode::Ref scalarLike(OnnxNode& node, OnnxNode::Ref x, double value) {
  return node.scalar(node.dtypeOf(x), value);
}

}  // namespace carnot
