#include "ops/onnx_eye_like.h"

#include "base/error.h"
#include "ops/cast.h"
#include "ops/onnx_axes.h"
#include "ops/pointwise_binary.h"
#include "ops/range.h"
#include "ops/shape_of.h"

namespace carnot {

namespace {

// 0, 1, ... along an axis of x.
OnnxNode::Ref numbersOf(OnnxNode& node, OnnxNode::Ref x, int64_t axis) {
  OnnxNode::Ref extent = node.emit(Operator::of(ShapeOf{.start = axis, .end = axis + 1}), {x});
  extent = emitReshape(node, extent, {});
  const OnnxNode::Ref zero = node.scalar(DType::I64, 0), one = node.scalar(DType::I64, 1);
  return node.emit(Operator::of(Range{}), {zero, extent, one});
}

}  // namespace

void importEyeLike(OnnxNode& node) {
  const OnnxNode::Ref x = node.requireInput(0);
  const Shape shape = node.shapeOf(x);
  if (shape.rank() != 2)
    throw Error(ErrorCode::InvalidModel, fmt::format("input of shape {}", shape.toString()),
                "a matrix");
  OnnxNode::Ref rows = emitReshape(node, numbersOf(node, x, 0), {shape[0], 1});
  if (const int64_t k = node.attributeInt("k", 0); k != 0)
    rows = node.emit(Operator::of(Add{}), {rows, scalarLike(node, rows, static_cast<double>(k))});
  const OnnxNode::Ref diagonal = node.emit(Operator::of(Equal{}), {rows, numbersOf(node, x, 1)});
  const DType dtype = node.attributeDType("dtype", node.dtypeOf(x));
  node.setOutput(
      0, dtype == DType::Bool ? diagonal : node.emit(Operator::of(Cast{.to = dtype}), {diagonal}));
}

}  // namespace carnot
