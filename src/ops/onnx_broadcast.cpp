#include "ops/onnx_broadcast.h"

#include "base/error.h"
#include "ops/onnx_axes.h"

namespace carnot {

OnnxNode::Ref legacyBroadcastOperand(OnnxNode& node) {
  OnnxNode::Ref a = node.requireInput(0), b = node.requireInput(1);
  if (node.attributeInt("broadcast", 0) == 0 || !node.hasAttribute("axis")) return b;
  size_t rank = node.rankOf(a);
  size_t axis = normalizeAxis(node.attributeInt("axis", 0), rank);
  Shape shape = node.shapeOf(b);
  if (axis + shape.rank() > rank)
    throw Error(ErrorCode::InvalidModel,
                fmt::format("input 1 of shape {} at axis {} of {}", shape.toString(), axis,
                            node.shapeOf(a).toString()),
                "its dims within those of input 0");
  size_t missing = rank - axis - shape.rank();
  for (size_t i = 0; i < missing; ++i) shape.push(1);
  return emitReshape(node, b, shape);
}

OnnxNode::Ref asScalar(OnnxNode& node, OnnxNode::Ref value) {
  const Shape& shape = node.shapeOf(value);
  if (shape.rank() == 0) return value;
  if (shape.elementCount() != Dim(1))
    throw Error(ErrorCode::InvalidModel, fmt::format("an input of shape {}", shape.toString()),
                "a scalar");
  if (const Tensor* tensor = node.constantOf(value)) return node.constant(tensor->reshaped({}));
  return emitReshape(node, value, {});
}

}  // namespace carnot
