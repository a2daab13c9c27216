#include "ops/onnx_affine_grid.h"

#include "base/error.h"
#include "ops/cast.h"
#include "ops/onnx_axes.h"
#include "ops/pointwise_binary.h"
#include "ops/range.h"
#include "ops/slice.h"

namespace carnot {

namespace {

using Ref = OnnxNode::Ref;

// Coordinates of an axis of `extent` elements between -1 and 1: centres of the elements, or with
// `corners` the first at -1 and the last at 1.
Ref coordinatesOf(OnnxNode& node, const Dim& extent, bool corners, DType dtype) {
  const Ref count = emitReshape(node, emitDims(node, {extent}), {});
  const Ref zero = node.scalar(DType::I64, 0), one = node.scalar(DType::I64, 1);
  Ref at = node.emit(Operator::of(Range{}), {zero, count, one});
  at = node.emit(Operator::of(Cast{.to = dtype}), {at});
  Ref span = emitReshape(node, emitDims(node, {corners ? max(extent - 1, Dim(1)) : extent}), {});
  span = node.emit(Operator::of(Cast{.to = dtype}), {span});
  at = node.emit(Operator::of(Mul{}), {at, scalarLike(node, at, 2)});
  if (!corners) at = node.emit(Operator::of(Add{}), {at, scalarLike(node, at, 1)});
  at = node.emit(Operator::of(Div{}), {at, span});
  return node.emit(Operator::of(Sub{}), {at, scalarLike(node, at, 1)});
}

}  // namespace

void importAffineGrid(OnnxNode& node) {
  const Ref theta = node.requireInput(0);
  const Shape matrices = node.shapeOf(theta);
  const std::vector<Dim> size = importDims(node, 1);
  const size_t axes = size.size() < 2 ? 0 : size.size() - 2;
  const auto count = static_cast<int64_t>(axes);
  if ((axes != 2 && axes != 3) || matrices.rank() != 3 || matrices[1] != Dim(count) ||
      matrices[2] != Dim(count + 1))
    throw Error(ErrorCode::InvalidModel,
                fmt::format("matrices {} and a size of {} dims", matrices.toString(), size.size()),
                "[N, 2, 3] and 4 dims, or [N, 3, 4] and 5");
  const bool corners = node.attributeInt("align_corners", 0) != 0;
  const DType dtype = node.dtypeOf(theta);
  // A column of the matrices as [N, 1..., axes].
  auto column = [&](int64_t i) {
    const Ref part = node.emit(Operator::of(Slice{.axes = {2}, .steps = {1}}),
                               {theta, emitInts(node, {i}), emitInts(node, {i + 1})});
    Shape shape{matrices[0]};
    for (size_t axis = 0; axis < axes; ++axis) shape.push(1);
    shape.push(count);
    return emitReshape(node, part, std::move(shape));
  };
  Ref grid = column(count);
  for (size_t axis = 0; axis < axes; ++axis) {
    Shape along;
    for (size_t i = 0; i < axes + 2; ++i) along.push(i == axis + 1 ? size[axis + 2] : Dim(1));
    const Ref at =
        emitReshape(node, coordinatesOf(node, size[axis + 2], corners, dtype), std::move(along));
    // The last axis is x, the first coordinate.
    const Ref part =
        node.emit(Operator::of(Mul{}), {at, column(count - 1 - static_cast<int64_t>(axis))});
    grid = node.emit(Operator::of(Add{}), {grid, part});
  }
  node.setOutput(0, grid);
}

}  // namespace carnot
