#include "ops/onnx_losses.h"

#include <numeric>

#include "base/error.h"
#include "ops/gather.h"
#include "ops/gather_elements.h"
#include "ops/onnx_axes.h"
#include "ops/pointwise_binary.h"
#include "ops/pointwise_unary.h"
#include "ops/reduce.h"
#include "ops/softmax.h"
#include "ops/where.h"

namespace carnot {

namespace {

using Ref = OnnxNode::Ref;

Ref emitTotal(OnnxNode& node, ReduceKind kind, Ref x) {
  std::vector<int64_t> axes(node.rankOf(x));
  std::iota(axes.begin(), axes.end(), 0);
  return node.emit(Operator::of(Reduce{kind, std::move(axes), false}), {x});
}

void requireTarget(const OnnxNode& node, Ref scores, Ref target) {
  const Shape &x = node.shapeOf(scores), &t = node.shapeOf(target);
  bool fits = x.rank() >= 2 && t.rank() + 1 == x.rank();
  for (size_t i = 0; fits && i < t.rank(); ++i)
    fits = compare(t[i], x[i == 0 ? 0 : i + 1]) != Equality::No;
  if (!fits)
    throw Error(ErrorCode::InvalidModel,
                fmt::format("scores {} and targets {}", x.toString(), t.toString()),
                "[N, C, d...] and [N, d...]");
}

// The loss of each target. Sums over many of them are kept in F32 where the type is narrower.
Ref emitLoss(OnnxNode& node, Ref logProbabilities) {
  const Ref target = node.requireInput(1);
  requireTarget(node, logProbabilities, target);
  const DType dtype = node.dtypeOf(logProbabilities);
  const DType wide = dtypeBits(dtype) < 32 ? DType::F32 : dtype;
  const std::string reduction = node.attributeString("reduction", "mean");
  if (reduction != "none" && reduction != "sum" && reduction != "mean")
    throw Error(ErrorCode::InvalidModel, fmt::format("reduction \"{}\"", reduction),
                "none, sum or mean");

  const Shape shape = node.shapeOf(target);
  const Ref zero = node.scalar(wide, 0);
  Ref ignored, index = target;  // what is ignored may name no class
  if (node.hasAttribute("ignore_index")) {
    const auto ignore = static_cast<double>(node.attributeInt("ignore_index", 0));
    ignored = node.emit(Operator::of(Equal{}), {target, scalarLike(node, target, ignore)});
    index = node.emit(Operator::of(Where{}), {ignored, scalarLike(node, target, 0), target});
  }
  Shape column = {shape[0], 1};
  for (size_t i = 1; i < shape.rank(); ++i) column.push(shape[i]);
  Ref loss = node.emit(Operator::of(GatherElements{.axis = 1}),
                       {logProbabilities, emitReshape(node, index, column)});
  loss = node.emit(Operator::of(Neg{}), {emitCast(node, emitReshape(node, loss, shape), wide)});
  if (ignored) loss = node.emit(Operator::of(Where{}), {ignored, zero, loss});

  Ref weights;
  if (node.hasInput(2)) {
    const Shape& classes = node.shapeOf(node.input(2));
    if (classes.rank() != 1 ||
        compare(classes[0], node.shapeOf(logProbabilities)[1]) == Equality::No)
      throw Error(ErrorCode::InvalidModel, fmt::format("weights {}", classes.toString()),
                  "one a class");
    weights = node.emit(Operator::of(Gather{.axis = 0}), {node.input(2), index});
    weights = emitCast(node, weights, wide);
    if (ignored) weights = node.emit(Operator::of(Where{}), {ignored, zero, weights});
    loss = node.emit(Operator::of(Mul{}), {loss, weights});
  } else if (ignored) {
    weights = node.emit(Operator::of(Where{}), {ignored, zero, node.scalar(wide, 1)});
  }

  if (reduction == "sum") loss = emitTotal(node, ReduceKind::Sum, loss);
  if (reduction == "mean" && !weights) loss = emitTotal(node, ReduceKind::Mean, loss);
  if (reduction == "mean" && weights)
    loss = node.emit(Operator::of(Div{}), {emitTotal(node, ReduceKind::Sum, loss),
                                           emitTotal(node, ReduceKind::Sum, weights)});
  return emitCast(node, loss, dtype);
}

}  // namespace

void importNegativeLogLikelihoodLoss(OnnxNode& node) {
  node.setOutput(0, emitLoss(node, node.requireInput(0)));
}

void importSoftmaxCrossEntropyLoss(OnnxNode& node) {
  const Ref logProbabilities =
      node.emit(Operator::of(Softmax{.axis = 1, .logarithm = true}), {node.requireInput(0)});
  node.setOutput(0, emitLoss(node, logProbabilities));
  if (node.outputUsed(1)) node.setOutput(1, logProbabilities);
}

}  // namespace carnot
