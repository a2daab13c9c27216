#include "ops/onnx_normalizations.h"

#include <algorithm>
#include <numeric>

#include "base/error.h"
#include "ops/average_pool.h"
#include "ops/onnx_axes.h"
#include "ops/pointwise_binary.h"
#include "ops/pointwise_unary.h"
#include "ops/reduce.h"
#include "ops/where.h"

namespace carnot {

namespace {

std::vector<int64_t> spatialAxes(const OnnxNode& node, OnnxNode::Ref x) {
  if (node.rankOf(x) < 3)
    throw Error(ErrorCode::InvalidModel,
                fmt::format("input of shape {}", node.shapeOf(x).toString()),
                "[N, C] and at least one spatial dim");
  std::vector<int64_t> axes(node.rankOf(x) - 2);
  std::iota(axes.begin(), axes.end(), 2);
  return axes;
}

OnnxNode::Ref emitReduce(OnnxNode& node, ReduceKind kind, std::vector<int64_t> axes,
                         OnnxNode::Ref x) {
  return node.emit(Operator::of(Reduce{kind, std::move(axes), true}), {x});
}

// (sum |x|^p)^(1/p) along the axes, which stay.
OnnxNode::Ref emitNorm(OnnxNode& node, double p, std::vector<int64_t> axes, OnnxNode::Ref x) {
  if (p == 1) return emitReduce(node, ReduceKind::L1, std::move(axes), x);
  if (p == 2) return emitReduce(node, ReduceKind::L2, std::move(axes), x);
  OnnxNode::Ref y = node.emit(Operator::of(Abs{}), {x});
  y = node.emit(Operator::of(Pow{}), {y, scalarLike(node, x, p)});
  y = emitReduce(node, ReduceKind::Sum, std::move(axes), y);
  return node.emit(Operator::of(Pow{}), {y, scalarLike(node, x, 1 / p)});
}

}  // namespace

// x / (bias + alpha * mean of x^2 over `size` channels)^beta; channels beyond the ends count as 0.
void importLrn(OnnxNode& node) {
  const OnnxNode::Ref x = node.requireInput(0);
  const Shape shape = node.shapeOf(x);
  const int64_t size = node.attributeInt("size", 0);
  if (shape.rank() < 2 || size < 1)
    throw Error(ErrorCode::InvalidModel, fmt::format("{} channels of {}", size, shape.toString()),
                "[N, C, ...] and a size of at least 1");
  const AveragePool pool{.kernel = {size, 1},
                         .strides = {1, 1},
                         .pads = {(size - 1) / 2, 0, size / 2, 0},
                         .dilations = {1, 1},
                         .countIncludePad = true};
  OnnxNode::Ref y = node.emit(Operator::of(Mul{}), {x, x});
  y = emitReshape(node, y, {shape[0], 1, shape[1], shape.elementCount(2, shape.rank())});
  y = emitReshape(node, node.emit(Operator::of(pool), {y}), shape);
  const double alpha = node.attributeFloat("alpha", 1e-4);
  y = node.emit(Operator::of(Mul{}), {y, scalarLike(node, x, alpha)});
  y = node.emit(Operator::of(Add{}), {y, scalarLike(node, x, node.attributeFloat("bias", 1))});
  y = node.emit(Operator::of(Pow{}), {y, scalarLike(node, x, node.attributeFloat("beta", 0.75))});
  node.setOutput(0, node.emit(Operator::of(Div{}), {x, y}));
}

// (x - mean) / (deviation + 1e-9).
void importMeanVarianceNormalization(OnnxNode& node) {
  const OnnxNode::Ref x = node.requireInput(0);
  std::vector<int64_t> axes = {0, 2, 3};
  if (node.hasAttribute("axes")) axes = *importAxes(node, 1, "axes", node.rankOf(x));
  for (int64_t axis : axes) normalizeAxis(axis, node.rankOf(x));
  std::sort(axes.begin(), axes.end());
  const OnnxNode::Ref centred =
      node.emit(Operator::of(Sub{}), {x, emitReduce(node, ReduceKind::Mean, axes, x)});
  OnnxNode::Ref deviation = node.emit(Operator::of(Mul{}), {centred, centred});
  deviation = emitReduce(node, ReduceKind::Mean, axes, deviation);
  deviation = node.emit(Operator::of(Sqrt{}), {deviation});
  deviation = node.emit(Operator::of(Add{}), {deviation, scalarLike(node, x, 1e-9)});
  node.setOutput(0, node.emit(Operator::of(Div{}), {centred, deviation}));
}

// x / norm, and 0 where the norm is 0.
void importLpNormalization(OnnxNode& node) {
  const OnnxNode::Ref x = node.requireInput(0);
  const int64_t axis = importAxis(node, "axis", -1, node.rankOf(x));
  const auto p = static_cast<double>(node.attributeInt("p", 2));
  const OnnxNode::Ref norm = emitNorm(node, p, {axis}, x), zero = scalarLike(node, x, 0);
  const OnnxNode::Ref isZero = node.emit(Operator::of(Equal{}), {norm, zero});
  const OnnxNode::Ref quotient = node.emit(Operator::of(Div{}), {x, norm});
  node.setOutput(0, node.emit(Operator::of(Where{}), {isZero, zero, quotient}));
}

void importGlobalLpPool(OnnxNode& node) {
  const OnnxNode::Ref x = node.requireInput(0);
  const double p = node.opset() < 2 ? node.attributeFloat("p", 2)
                                    : static_cast<double>(node.attributeInt("p", 2));
  node.setOutput(0, emitNorm(node, p, spatialAxes(node, x), x));
}

}  // namespace carnot
