#include <algorithm>

#include "ops/conv.h"
#include "ops/conv_transpose.h"
#include "ops/evaluate.h"
#include "ops/mat_mul.h"
#include "ops/pointwise_binary.h"
#include "passes/match.h"
#include "passes/passes.h"

namespace carnot {

namespace {

// A convolution or a product with constant weights: which output channel a weight belongs to.
class Linear {
 public:
  // nullopt for other nodes, and for weights or biases that are computed.
  static std::optional<Linear> of(const Node* node) {
    if (!node || !(node->as<Conv>() || node->as<ConvTranspose>() || node->as<MatMul>()))
      return std::nullopt;
    const Value* weight = node->inputs[1];
    if (!weight->isConstant() || weight->type.shape.rank() < 2 || !isFloat(weight->type.dtype))
      return std::nullopt;
    if (node->inputs.size() > 2 && node->inputs[2] && !node->inputs[2]->isConstant())
      return std::nullopt;
    return Linear(node);
  }

  bool takesBias() const { return !node_->as<MatMul>(); }
  size_t channelAxis() const { return takesBias() ? 1 : node_->outputs[0]->type.shape.rank() - 1; }
  int64_t channels() const { return channels_; }
  int64_t channelOf(int64_t i) const {
    if (node_->as<Conv>()) return i / inner_;
    if (node_->as<MatMul>()) return i / inner_ % channels_;
    return i / (perGroup_ * inner_) / groupInputs_ * perGroup_ + i / inner_ % perGroup_;
  }

  const Tensor& weight() const { return *node_->inputs[1]->constant; }
  // The bias, or zeros.
  std::vector<double> bias() const {
    if (node_->inputs.size() > 2 && node_->inputs[2])
      return node_->inputs[2]->constant->toDoubles();
    return std::vector<double>(static_cast<size_t>(channels_), 0.0);
  }
  bool hasBias() const { return node_->inputs.size() > 2 && node_->inputs[2]; }

 private:
  explicit Linear(const Node* node) : node_(node) {
    const std::vector<int64_t>& dims = weight().dims();
    if (const auto* product = node->as<MatMul>()) {
      channels_ = dims[dims.size() - (product->transposeB ? 2 : 1)];
      inner_ = product->transposeB ? dims.back() : 1;
      return;
    }
    for (size_t axis = 2; axis < dims.size(); ++axis) inner_ *= dims[axis];
    if (const auto* transposed = node->as<ConvTranspose>()) {
      perGroup_ = dims[1];
      groupInputs_ = dims[0] / transposed->group;
      channels_ = perGroup_ * transposed->group;
    } else {
      channels_ = dims[0];
      inner_ *= dims[1];
    }
  }

  const Node* node_;
  int64_t channels_ = 1, inner_ = 1, perGroup_ = 1, groupInputs_ = 1;
};

// The constant as one number a channel, when it varies along no other axis of `shape`.
std::optional<std::vector<double>> byChannel(const Tensor& constant, const Shape& shape,
                                             size_t channelAxis, int64_t channels) {
  const std::vector<int64_t>& dims = constant.dims();
  if (dims.size() > shape.rank()) return std::nullopt;
  for (size_t i = 0; i < dims.size(); ++i) {
    const bool isChannel = shape.rank() - dims.size() + i == channelAxis;
    if (dims[i] != 1 && !(isChannel && dims[i] == channels)) return std::nullopt;
  }
  std::vector<double> values = constant.toDoubles();
  if (values.size() == 1) values.resize(static_cast<size_t>(channels), values[0]);
  if (values.size() != static_cast<size_t>(channels)) return std::nullopt;
  return values;
}

Tensor ofDoubles(DType type, std::vector<int64_t> dims, const std::vector<double>& values) {
  Tensor tensor(type, std::move(dims));
  for (size_t i = 0; i < values.size(); ++i)
    tensor.view().storeDouble(static_cast<int64_t>(i), values[i]);
  return tensor;
}

// x * c or x / c.
Proposal foldFactor(Node* node, Node* producer, const Linear& linear, std::vector<double> factor) {
  if (node->as<Div>())
    for (double& value : factor) value = 1 / value;
  const Tensor& weight = linear.weight();
  Tensor scaled(weight.dtype(), weight.dims());
  for (int64_t i = 0; i < weight.count(); ++i)
    scaled.view().storeDouble(i, weight.view().loadDouble(i) * factor[linear.channelOf(i)]);
  Patch patch("fold scale into " + std::string(producer->opName()), node);
  std::vector<Patch::Ref> inputs(producer->inputs.begin(), producer->inputs.end());
  inputs[1] = patch.constant(std::move(scaled), producer->inputs[1]->name);
  if (linear.hasBias()) {
    std::vector<double> bias = linear.bias();
    for (size_t c = 0; c < bias.size(); ++c) bias[c] *= factor[c];
    inputs[2] = patch.constant(ofDoubles(weight.dtype(), {linear.channels()}, bias), "bias");
  }
  patch.replace(node->outputs[0], patch.add(producer->op, std::move(inputs)));
  return patch;
}

// x + c.
Proposal foldShift(Node* node, Node* producer, const Linear& linear,
                   const std::vector<double>& shift) {
  std::vector<double> bias = linear.bias();
  for (size_t c = 0; c < bias.size(); ++c) bias[c] += shift[c];
  Patch patch("fold shift into " + std::string(producer->opName()), node);
  std::vector<Patch::Ref> inputs(producer->inputs.begin(), producer->inputs.end());
  inputs.resize(3);
  inputs[2] = patch.constant(ofDoubles(linear.weight().dtype(), {linear.channels()}, bias), "bias");
  patch.replace(node->outputs[0], patch.add(producer->op, std::move(inputs)));
  return patch;
}

// (x w + b) * c becomes (x w) * c + b * c, so that the factor reaches the weights.
Proposal factorOverSum(const Graph& graph, Node* node, const WithConstant& factor) {
  const Node* sum = ownProducerAs<Add>(graph, factor.operand);
  const WithConstant shift = sum ? withConstant(sum) : WithConstant{};
  if (!shift || !Linear::of(ownProducerAs<MatMul>(graph, shift.operand))) return std::nullopt;
  if (shift.operand->type != node->outputs[0]->type) return std::nullopt;
  Patch patch("factor over sum", node);
  Patch::Ref product = patch.add(node->op, {shift.operand, factor.constant});
  std::vector<Tensor> operands{*shift.constant->constant, *factor.constant->constant};
  Patch::Ref scaled = patch.constant(std::move(evaluateOperator(node->op, operands)[0]), "bias");
  patch.replace(node->outputs[0], patch.add(sum->op, {product, scaled}));
  return patch;
}

}  // namespace

// Factors and summands by channel go into the weights and the bias before them.
Proposal foldScale(const Graph& graph, Node* node, const PassOptions&) {
  const bool isFactor = node->as<Mul>() || (node->as<Div>() && node->inputs[1]->isConstant());
  if (!isFactor && !node->as<Add>()) return std::nullopt;
  const WithConstant operands = withConstant(node);
  if (!operands || operands.operand->type != node->outputs[0]->type) return std::nullopt;
  if (!usedOnce(graph, operands.operand)) return std::nullopt;
  Node* producer = operands.operand->producer;
  std::optional<Linear> linear = Linear::of(producer);
  if (!linear) return isFactor ? factorOverSum(graph, node, operands) : std::nullopt;
  std::optional<std::vector<double>> values =
      byChannel(*operands.constant->constant, node->outputs[0]->type.shape, linear->channelAxis(),
                linear->channels());
  if (!values) return std::nullopt;
  if (isFactor) return foldFactor(node, producer, *linear, std::move(*values));
  return linear->takesBias() ? foldShift(node, producer, *linear, *values) : std::nullopt;
}

// (x + a) + b and (x * a) * b with constants a and b.
Proposal mergeConstants(const Graph& graph, Node* node, const PassOptions&) {
  if (!node->as<Add>() && !node->as<Mul>()) return std::nullopt;
  const WithConstant outer = withConstant(node);
  if (!outer || !usedOnce(graph, outer.operand)) return std::nullopt;
  const Node* before = outer.operand->producer;
  if (!before || before->op != node->op) return std::nullopt;
  const WithConstant inner = withConstant(before);
  if (!inner) return std::nullopt;
  std::vector<Tensor> operands{*inner.constant->constant, *outer.constant->constant};
  Tensor both = std::move(evaluateOperator(node->op, operands)[0]);
  if (both.count() > std::max(operands[0].count(), operands[1].count())) return std::nullopt;
  Patch patch("merge constants", node);
  patch.replace(node->outputs[0],
                patch.add(node->op, {inner.operand, patch.constant(std::move(both))}));
  return patch;
}

}  // namespace carnot
