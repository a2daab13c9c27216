#include <algorithm>
#include <cmath>

#include "ops/batch_norm.h"
#include "ops/pointwise_binary.h"
#include "ops/pointwise_unary.h"
#include "ops/reshape.h"
#include "passes/passes.h"

namespace carnot {

namespace {

// [C] as [C, 1, ...], to stand for axis 1 of a tensor of this rank.
Shape channelShape(const Dim& channels, size_t rank) {
  Shape shape{channels};
  for (size_t axis = 2; axis < rank; ++axis) shape.push(1);
  return shape;
}

Proposal withConstants(Node* node, const Shape& shape) {
  const double epsilon = node->as<BatchNorm>()->epsilon;
  const std::vector<double> scale = node->inputs[1]->constant->toDoubles(),
                            bias = node->inputs[2]->constant->toDoubles(),
                            mean = node->inputs[3]->constant->toDoubles(),
                            variance = node->inputs[4]->constant->toDoubles();
  const DType type = node->outputs[0]->type.dtype;
  Tensor factor(type, shape.concrete()), shift(type, shape.concrete());
  for (size_t c = 0; c < scale.size(); ++c) {
    const double f = scale[c] / std::sqrt(variance[c] + epsilon);
    factor.view().storeDouble(static_cast<int64_t>(c), f);
    shift.view().storeDouble(static_cast<int64_t>(c), bias[c] - mean[c] * f);
  }
  Patch patch("batch norm to product and sum", node);
  Patch::Ref scaled = patch.add(Operator::of(Mul{}),
                                {node->inputs[0], patch.constant(std::move(factor), "bn_scale")});
  patch.replace(
      node->outputs[0],
      patch.add(Operator::of(Add{}), {scaled, patch.constant(std::move(shift), "bn_shift")}));
  return patch;
}

Proposal withTensors(Node* node, const Shape& shape) {
  const DType type = node->outputs[0]->type.dtype;
  for (const Value* input : node->inputs)
    if (input->type.dtype != type) return std::nullopt;
  Patch patch("batch norm to arithmetic", node);
  std::vector<Patch::Ref> parts;  // scale, bias, mean, variance
  for (size_t i = 1; i < 5; ++i)
    parts.push_back(patch.add(Operator::of(Reshape{shape}), {node->inputs[i]}));
  Patch::Ref epsilon = patch.scalar(type, node->as<BatchNorm>()->epsilon);
  Patch::Ref deviation =
      patch.add(Operator::of(Sqrt{}), {patch.add(Operator::of(Add{}), {parts[3], epsilon})});
  Patch::Ref factor = patch.add(Operator::of(Div{}), {parts[0], deviation});
  Patch::Ref centered = patch.add(Operator::of(Sub{}), {node->inputs[0], parts[2]});
  Patch::Ref scaled = patch.add(Operator::of(Mul{}), {centered, factor});
  patch.replace(node->outputs[0], patch.add(Operator::of(Add{}), {scaled, parts[1]}));
  return patch;
}

}  // namespace

// A product and a sum by channel, which then fold into a convolution before them.
Proposal expandBatchNorm(const Graph&, Node* node, const PassOptions&) {
  if (!node->as<BatchNorm>()) return std::nullopt;
  const Shape shape =
      channelShape(node->inputs[1]->type.shape[0], node->inputs[0]->type.shape.rank());
  const bool known = std::all_of(node->inputs.begin() + 1, node->inputs.end(),
                                 [](const Value* value) { return value->isConstant(); });
  return known ? withConstants(node, shape) : withTensors(node, shape);
}

}  // namespace carnot
