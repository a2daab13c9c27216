#include "ops/layer_norm.h"
#include "ops/pointwise_binary.h"
#include "ops/pointwise_unary.h"
#include "ops/reduce.h"
#include "ops/rms_norm.h"
#include "passes/match.h"
#include "passes/passes.h"

namespace carnot {

namespace {

// The first of the last axes that a mean runs over, all of them kept as 1.
std::optional<int64_t> meanAxis(const Node* node) {
  const auto* reduce = node ? node->as<Reduce>() : nullptr;
  if (!reduce || reduce->kind != ReduceKind::Mean || !reduce->keepDims || reduce->axes.empty())
    return std::nullopt;
  const auto rank = static_cast<int64_t>(node->inputs[0]->type.shape.rank());
  const auto count = static_cast<int64_t>(reduce->axes.size());
  for (int64_t i = 0; i < count; ++i)
    if (reduce->axes[static_cast<size_t>(i)] != rank - count + i) return std::nullopt;
  return rank - count;
}

// value / sqrt(mean(square^2) + epsilon)
struct Normalized {
  Value* value;
  Value* square;
  int64_t axis;
  double epsilon;
};

std::optional<Normalized> matchDivision(Value* numerator, Value* denominator) {
  const Node* root = producerAs<Sqrt>(denominator);
  const Node* sum = root ? producerAs<Add>(root->inputs[0]) : nullptr;
  const WithConstant parts = sum ? withConstant(sum) : WithConstant{};
  std::optional<double> epsilon = scalarOf(parts.constant);
  const Node* mean = producerAs<Reduce>(parts.operand);
  std::optional<int64_t> axis = meanAxis(mean);
  if (!epsilon || !axis) return std::nullopt;
  const Node* square = producerAs<Mul>(mean->inputs[0]);
  if (!square || square->inputs[0] != square->inputs[1]) return std::nullopt;
  if (!isFloat(numerator->type.dtype)) return std::nullopt;
  return Normalized{numerator, square->inputs[0], *axis, *epsilon};
}

// As a quotient, or as a product with a reciprocal.
std::optional<Normalized> matchNormalized(const Node* node) {
  if (node->as<Div>()) return matchDivision(node->inputs[0], node->inputs[1]);
  if (!node->as<Mul>()) return std::nullopt;
  for (size_t i = 0; i < 2; ++i)
    if (const Node* reciprocal = producerAs<Reciprocal>(node->inputs[i]))
      if (auto found = matchDivision(node->inputs[1 - i], reciprocal->inputs[0])) return found;
  return std::nullopt;
}

// Ones of the dims that are normalized, when they are numbers.
Patch::Ref onesFrom(Patch& patch, const TensorType& type, int64_t axis) {
  std::vector<int64_t> dims;
  for (size_t i = static_cast<size_t>(axis); i < type.shape.rank(); ++i) {
    if (!type.shape[i].isConstant()) return patch.scalar(type.dtype, 1);
    dims.push_back(type.shape[i].constant());
  }
  Tensor ones(type.dtype, std::move(dims));
  for (int64_t i = 0; i < ones.count(); ++i) ones.view().storeDouble(i, 1);
  return patch.constant(std::move(ones), "ones");
}

Proposal recognizeCore(Node* node) {
  std::optional<Normalized> found = matchNormalized(node);
  const TensorType& type = node->outputs[0]->type;
  if (!found || found->value != found->square || found->value->type != type) return std::nullopt;
  const Node* centered = producerAs<Sub>(found->value);
  const Node* mean = centered ? producerAs<Reduce>(centered->inputs[1]) : nullptr;
  const bool isLayerNorm =
      mean && mean->inputs[0] == centered->inputs[0] && meanAxis(mean) == found->axis;
  Patch patch(isLayerNorm ? "layer norm" : "RMS norm", node);
  Operator op = isLayerNorm ? Operator::of(LayerNorm{found->axis, found->epsilon})
                            : Operator::of(RmsNorm{found->axis, found->epsilon});
  Value* x = isLayerNorm ? centered->inputs[0] : found->value;
  Patch::Ref ones = onesFrom(patch, type, found->axis);
  patch.replace(node->outputs[0], patch.add(std::move(op), {x, ones}));
  return patch;
}

// The constant without leading dims of 1, when it varies along the normalized axes only.
std::optional<Tensor> normParameter(const Value* constant, const TensorType& x, int64_t axis) {
  if (constant->type.dtype != x.dtype) return std::nullopt;
  std::vector<int64_t> dims = constant->constant->dims();
  while (dims.size() > x.shape.rank() - static_cast<size_t>(axis)) {
    if (dims.front() != 1) return std::nullopt;
    dims.erase(dims.begin());
  }
  return constant->constant->reshaped(std::move(dims));
}

// norm(x, ones) * scale, norm(x, scale) + bias
Proposal absorbParameter(const Graph& graph, Node* node) {
  const WithConstant parts = withConstant(node);
  if (!parts || !usedOnce(graph, parts.operand)) return std::nullopt;
  Node* norm = parts.operand->producer;
  const auto* layer = norm ? norm->as<LayerNorm>() : nullptr;
  const auto* rms = norm ? norm->as<RmsNorm>() : nullptr;
  if (!layer && !rms) return std::nullopt;
  const int64_t axis = layer ? layer->axis : rms->axis;
  std::optional<Tensor> parameter = normParameter(parts.constant, node->outputs[0]->type, axis);
  if (!parameter || parts.operand->type != node->outputs[0]->type) return std::nullopt;
  const bool hasBias = norm->inputs.size() > 2 && norm->inputs[2];
  const bool isScale = node->as<Mul>() && !hasBias && uniformOf(norm->inputs[1]) == 1;
  const bool isBias = node->as<Add>() && layer && !hasBias;
  if (!isScale && !isBias) return std::nullopt;
  Patch patch(isScale ? "scale into norm" : "bias into norm", node);
  std::vector<Patch::Ref> inputs(norm->inputs.begin(), norm->inputs.end());
  inputs.resize(isBias ? 3 : 2);
  inputs.back() = patch.constant(std::move(*parameter), parts.constant->name);
  patch.replace(node->outputs[0], patch.add(norm->op, std::move(inputs)));
  return patch;
}

}  // namespace

// LayerNorm and RmsNorm out of means, squares and roots; then their scale, then their bias.
Proposal recognizeNorms(const Graph& graph, Node* node, const PassOptions&) {
  if (!node->op) return std::nullopt;
  if (Proposal core = recognizeCore(node)) return core;
  return node->as<Mul>() || node->as<Add>() ? absorbParameter(graph, node) : std::nullopt;
}

}  // namespace carnot
