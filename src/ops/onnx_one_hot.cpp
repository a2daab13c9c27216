#include "ops/onnx_one_hot.h"

#include "base/convert.h"
#include "base/error.h"
#include "ops/arg_reduce.h"
#include "ops/one_hot.h"
#include "ops/onnx_axes.h"

namespace carnot {

void importOneHot(OnnxNode& node) {
  const OnnxNode::Ref indices = node.requireInput(0), depth = node.requireInput(1);
  OneHot hot{.axis = importAxis(node, "axis", -1, node.rankOf(indices) + 1)};
  if (isFloat(node.dtypeOf(depth))) {
    hot.depth = Shape{truncateToInt(node.requireConstantScalar(1))};
  } else {
    hot.depth = Shape(importDims(node, 1));
    if (hot.depth.rank() != 1)
      throw Error(ErrorCode::InvalidModel, fmt::format("depth {}", hot.depth.toString()),
                  "one number");
  }
  node.setOutput(0, node.emit(Operator::of(std::move(hot)), {indices, node.requireInput(2)}));
}

void importHardmax(OnnxNode& node) {
  const OnnxNode::Ref x = node.requireInput(0);
  const Shape shape = node.shapeOf(x);
  const DType dtype = node.dtypeOf(x);
  const int64_t axis = importAxis(node, "axis", node.opset() < 13 ? 1 : -1, shape.rank());
  Shape rows = shape;
  if (node.opset() < 13) {  // the dims from the axis on are one row
    rows = Shape(std::vector<Dim>(shape.begin(), shape.begin() + axis));
    rows.push(shape.elementCount(static_cast<size_t>(axis), shape.rank()));
  }
  const OnnxNode::Ref indices = node.emit(Operator::of(ArgReduce{.axis = axis, .keepDims = false}),
                                          {emitReshape(node, x, rows)});
  const double offOn[] = {0, 1};
  const OnnxNode::Ref values = node.constant(Tensor::from<double>(dtype, {2}, offOn));
  const OneHot hot{.axis = axis, .depth = Shape{rows[static_cast<size_t>(axis)]}};
  node.setOutput(0, emitReshape(node, node.emit(Operator::of(hot), {indices, values}), shape));
}

}  // namespace carnot
