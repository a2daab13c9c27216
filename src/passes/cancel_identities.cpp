#include <algorithm>
#include <cmath>
#include <limits>

#include "ops/cast.h"
#include "ops/concat.h"
#include "ops/expand.h"
#include "ops/pad.h"
#include "ops/pointwise_activation.h"
#include "ops/pointwise_binary.h"
#include "ops/pointwise_unary.h"
#include "ops/reduce.h"
#include "ops/reshape.h"
#include "ops/resize.h"
#include "ops/slice.h"
#include "ops/transpose.h"
#include "ops/where.h"
#include "passes/match.h"
#include "passes/passes.h"

namespace carnot {

namespace {

bool isIdentityPerm(const std::vector<int64_t>& perm) {
  for (size_t i = 0; i < perm.size(); ++i)
    if (perm[i] != static_cast<int64_t>(i)) return false;
  return true;
}

// Every element stays, none moves: enough for operators that only move elements when the dims of
// input and output agree.
bool keepsElements(const Node* node) {
  if (node->as<Reshape>() || node->as<Expand>()) return true;
  if (const auto* transpose = node->as<Transpose>()) return isIdentityPerm(transpose->perm);
  if (const auto* slice = node->as<Slice>())
    return std::all_of(slice->steps.begin(), slice->steps.end(),
                       [](int64_t step) { return step == 1; });
  if (node->as<Pad>()) {
    const auto& pads = node->inputs[1]->contents;
    return pads &&
           std::all_of(pads->begin(), pads->end(), [](const Dim& pad) { return pad == Dim(0); });
  }
  if (const auto* resize = node->as<Resize>())
    return resize->coordinates != ResizeCoordinates::TfCropAndResize &&
           std::all_of(resize->scales.begin(), resize->scales.end(),
                       [](double scale) { return scale == 1; });
  return false;
}

// The operand that the operator gives back when the other one is its neutral element.
Value* besideNeutral(const Node* node) {
  if (node->inputs.size() != 2) return nullptr;
  for (size_t i = 0; i < 2; ++i) {
    std::optional<double> other = uniformOf(node->inputs[1 - i]);
    if (!other) continue;
    const bool second = i == 0;  // the constant is the second operand
    const bool isBool = node->outputs[0]->type.dtype == DType::Bool;
    constexpr double kInfinity = std::numeric_limits<double>::infinity();
    const bool neutral =
        (node->as<Add>() && *other == 0) || (node->as<Sub>() && second && *other == 0) ||
        (node->as<Mul>() && *other == 1) || (node->as<Div>() && second && *other == 1) ||
        (node->as<Pow>() && second && *other == 1) || (node->as<Max>() && *other == -kInfinity) ||
        (node->as<Min>() && *other == kInfinity) || (node->as<And>() && isBool && *other == 1) ||
        (node->as<Or>() && isBool && *other == 0);
    if (neutral) return node->inputs[i];
  }
  return nullptr;
}

// f(f(x)) = f(x), or = x; a choice between a tensor and itself.
Value* besideTwin(const Node* node) {
  if (node->as<Not>())
    if (const Node* inner = producerAs<Not>(node->inputs[0])) return inner->inputs[0];
  if (node->as<Neg>())
    if (const Node* inner = producerAs<Neg>(node->inputs[0])) return inner->inputs[0];
  if (node->as<Relu>() && producerAs<Relu>(node->inputs[0])) return node->inputs[0];
  if (node->as<Where>() && node->inputs[1] == node->inputs[2]) return node->inputs[1];
  return nullptr;
}

bool isOneElementReduce(const Node* node) {
  const auto* reduce = node->as<Reduce>();
  if (!reduce || reduce->kind > ReduceKind::Prod) return false;
  return std::all_of(reduce->axes.begin(), reduce->axes.end(), [&](int64_t axis) {
    return node->inputs[0]->type.shape[static_cast<size_t>(axis)] == Dim(1);
  });
}

}  // namespace

// Nodes that give one of their operands back.
Proposal cancelIdentities(const Graph&, Node* node, const PassOptions&) {
  if (!node->op || node->inputs.empty() || !node->inputs[0]) return std::nullopt;
  Value* output = node->outputs[0];
  auto proposal = [&](Value* same) {
    Patch patch("cancel " + std::string(node->opName()), node, "gives its operand back");
    patch.replace(output, same);
    return patch;
  };
  Value* input = node->inputs[0];
  if (keepsElements(node) && input->type == output->type) return proposal(input);
  if (node->as<Cast>() && input->type.dtype == output->type.dtype) return proposal(input);
  if (node->as<Concat>() && node->inputs.size() == 1) return proposal(input);
  for (Value* same : {besideNeutral(node), besideTwin(node)}) {
    if (!same || same->type.dtype != output->type.dtype) continue;
    if (same->type == output->type) return proposal(same);
    Patch patch("broadcast by " + std::string(node->opName()), node, "gives its operand, expanded");
    patch.replace(output, patch.add(Operator::of(Expand{output->type.shape}), {same}));
    return patch;
  }
  if (isOneElementReduce(node)) {
    if (input->type == output->type) return proposal(input);
    Patch patch("reduce one element", node, "a view");
    patch.replace(output, patch.add(Operator::of(Reshape{output->type.shape}), {input}));
    return patch;
  }
  return std::nullopt;
}

}  // namespace carnot
