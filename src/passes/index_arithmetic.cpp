#include <algorithm>

#include "ops/expand.h"
#include "ops/gather.h"
#include "ops/pointwise_binary.h"
#include "ops/reshape.h"
#include "ops/slice.h"
#include "ops/symbolic.h"
#include "passes/affine.h"
#include "passes/match.h"
#include "passes/passes.h"

namespace carnot {

namespace {

// Indices n, n + 1, n + 2 ... give slices of x next to each other, all of them or some; below 0
// they count from the end.
Proposal gatherInOrder(Node* node) {
  Value *x = node->inputs[0], *indices = node->inputs[1], *output = node->outputs[0];
  std::optional<Affine> affine = affineOf(indices);
  std::optional<Dim> count =
      affine ? countingUp(*affine, indices->type.shape) : std::optional<Dim>();
  if (!count) return std::nullopt;
  const int64_t axis = node->as<Gather>()->axis;
  const Shape& shape = x->type.shape;
  const Dim extent = shape[static_cast<size_t>(axis)];
  Dim first = affine->offset;
  if (std::optional<int64_t> offset = first.tryConstant(); !offset) {
    return std::nullopt;
  } else if (*offset < 0) {
    std::optional<int64_t> known = count->tryConstant();
    if (!known || *offset + *known > 0) return std::nullopt;
    first = extent + first;
  }
  Patch patch("gather in order", node, "the indices count up");
  Patch::Ref from = x;
  if (*count != extent || first != Dim(0)) {
    Shape part = shape;
    part[static_cast<size_t>(axis)] = *count;
    const Operator slice = Operator::of(Slice{{axis}, {1}});
    const TensorType bound{DType::I64, {1}};
    const std::vector<Dim> start{first}, end{first + *count};
    const InferContext::Input seen[] = {
        {&x->type, nullptr, nullptr}, {&bound, nullptr, &start}, {&bound, nullptr, &end}};
    // As many as there are: what a slice would cut off, a gather refuses.
    std::optional<std::vector<TensorType>> sliced = inferredTypes(slice, seen);
    if (!sliced || sliced->front().shape != part) return std::nullopt;
    auto number = [&](const Dim& dim) {
      return patch.add(Operator::of(Symbolic{Shape{dim}, {1}, DType::I64}), {});
    };
    from = patch.add(slice, {x, number(start[0]), number(end[0])});
  }
  patch.replace(output, patch.add(Operator::of(Reshape{output->type.shape}), {from}));
  return patch;
}

// Whether every element of the tensor is at least 0 (true) or below it (false).
std::optional<bool> isNonNegative(const Affine& affine) {
  std::optional<int64_t> offset = affine.offset.tryConstant();
  if (!offset) return std::nullopt;
  auto allSteps = [&](auto holds) {
    return std::all_of(affine.steps.begin(), affine.steps.end(), [&](const Dim& step) {
      std::optional<int64_t> number = step.tryConstant();
      return number && holds(*number);
    });
  };
  if (*offset >= 0 && allSteps([](int64_t step) { return step >= 0; })) return true;
  if (*offset < 0 && allSteps([](int64_t step) { return step <= 0; })) return false;
  return std::nullopt;
}

// a <= b and a < b, where one holds everywhere or nowhere.
Proposal decideComparison(Node* node) {
  std::optional<Affine> a = affineOf(node->inputs[0]), b = affineOf(node->inputs[1]);
  if (!a || !b) return std::nullopt;
  const size_t rank = node->outputs[0]->type.shape.rank();
  Affine difference{b->offset - a->offset, std::vector<Dim>(rank, 0)};
  if (node->as<Less>()) difference.offset = difference.offset - 1;
  for (size_t i = 0; i < b->steps.size(); ++i)
    difference.steps[rank - 1 - i] = b->steps[b->steps.size() - 1 - i];
  for (size_t i = 0; i < a->steps.size(); ++i)
    difference.steps[rank - 1 - i] =
        difference.steps[rank - 1 - i] - a->steps[a->steps.size() - 1 - i];
  std::optional<bool> holds = isNonNegative(difference);
  if (!holds) return std::nullopt;
  Patch patch("decide comparison", node,
              *holds ? "true for all elements" : "false for all elements");
  Patch::Ref constant = patch.constant(Tensor::scalar(DType::Bool, *holds));
  patch.replace(node->outputs[0],
                patch.add(Operator::of(Expand{node->outputs[0]->type.shape}), {constant}));
  return patch;
}

}  // namespace

// Index tensors made of ranges: gathers that take everything in its order, comparisons that always
// come out the same.
Proposal indexArithmetic(const Graph&, Node* node, const PassOptions&) {
  if (node->as<Gather>()) return gatherInOrder(node);
  if (node->as<Less>() || node->as<LessOrEqual>()) return decideComparison(node);
  return std::nullopt;
}

}  // namespace carnot
