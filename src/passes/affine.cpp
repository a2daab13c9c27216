#include "passes/affine.h"

#include <algorithm>

#include "ops/cast.h"
#include "ops/expand.h"
#include "ops/pointwise_binary.h"
#include "ops/range.h"
#include "ops/reshape.h"
#include "ops/slice.h"

namespace carnot {

namespace {

constexpr int64_t kReadElements = 1 << 16;
// Of each element: no index of a tensor is beyond it, and no sum of its steps leaves 64 bits.
constexpr int64_t kReadMagnitude = int64_t{1} << 40;
// Tensors looked at for one answer; arithmetic that shares operands would be walked again and
// again.
constexpr int kMaxVisits = 256;

std::optional<Affine> affineOf(const Value* value, int& visits);

// The one number that the tensor holds, when known.
std::optional<Dim> numberOf(const Value* value) {
  if (!value || !value->contents || value->contents->size() != 1) return std::nullopt;
  return value->contents->front();
}

std::optional<Affine> ofConstant(const Tensor& tensor) {
  if (tensor.count() == 0 || tensor.count() > kReadElements) return std::nullopt;
  const TensorView view = tensor.view();
  for (int64_t i = 0; i < tensor.count(); ++i)
    if (view.loadInt(i) > kReadMagnitude || view.loadInt(i) < -kReadMagnitude) return std::nullopt;
  const size_t rank = tensor.dims().size();
  const int64_t offset = view.loadInt(0);
  std::vector<int64_t> steps(rank, 0), index(rank, 0);
  int64_t stride = 1;
  for (size_t axis = rank; axis-- > 0; stride *= tensor.dims()[axis])
    if (tensor.dims()[axis] > 1) steps[axis] = view.loadInt(stride) - offset;
  for (int64_t i = 0; i < tensor.count(); ++i) {
    int64_t expected = offset;
    for (size_t axis = 0; axis < rank; ++axis) expected += steps[axis] * index[axis];
    if (view.loadInt(i) != expected) return std::nullopt;
    for (size_t axis = rank; axis-- > 0;) {
      ++index[axis];
      if (index[axis] < tensor.dims()[axis]) break;
      index[axis] = 0;
    }
  }
  return Affine{offset, {steps.begin(), steps.end()}};
}

// The axes that hold more than one element keep their order.
std::optional<Affine> throughReshape(const Affine& from, const Shape& before, const Shape& after) {
  Affine result{from.offset, std::vector<Dim>(after.rank(), 0)};
  size_t axis = 0;
  auto skipOnes = [&] {
    while (axis < before.rank() && before[axis] == Dim(1)) ++axis;
  };
  for (size_t i = 0; i < after.rank(); ++i) {
    if (after[i] == Dim(1)) continue;
    skipOnes();
    if (axis == before.rank() || before[axis] != after[i]) return std::nullopt;
    result.steps[i] = from.steps[axis++];
  }
  skipOnes();
  return axis == before.rank() ? std::optional(result) : std::nullopt;
}

// Broadcast to more axes before.
std::vector<Dim> padded(const Affine& affine, size_t rank) {
  std::vector<Dim> steps(rank - affine.steps.size(), 0);
  steps.insert(steps.end(), affine.steps.begin(), affine.steps.end());
  return steps;
}

std::optional<Affine> ofSum(const Node* node, int& visits) {
  std::optional<Affine> a = affineOf(node->inputs[0], visits),
                        b = affineOf(node->inputs[1], visits);
  if (!a || !b) return std::nullopt;
  const Dim sign = node->as<Sub>() ? -1 : 1;
  const size_t rank = node->outputs[0]->type.shape.rank();
  Affine result{a->offset + sign * b->offset, padded(*a, rank)};
  const std::vector<Dim> others = padded(*b, rank);
  for (size_t axis = 0; axis < rank; ++axis)
    result.steps[axis] = result.steps[axis] + sign * others[axis];
  return result;
}

std::optional<Affine> ofProduct(const Node* node, int& visits) {
  for (size_t i = 0; i < 2; ++i) {
    std::optional<Dim> factor = numberOf(node->inputs[1 - i]);
    std::optional<Affine> affine = factor ? affineOf(node->inputs[i], visits) : std::nullopt;
    if (!affine) continue;
    Affine result{affine->offset * *factor, padded(*affine, node->outputs[0]->type.shape.rank())};
    for (Dim& step : result.steps) step = step * *factor;
    return result;
  }
  return std::nullopt;
}

// The first elements along the axes.
std::optional<Affine> ofSlice(const Node* node, int& visits) {
  const auto* slice = node->as<Slice>();
  const auto& starts = node->inputs[1]->contents;
  const bool fromFirst = starts && std::all_of(starts->begin(), starts->end(),
                                               [](const Dim& start) { return start == Dim(0); });
  const bool inSteps =
      std::all_of(slice->steps.begin(), slice->steps.end(), [](int64_t step) { return step == 1; });
  return fromFirst && inSteps ? affineOf(node->inputs[0], visits) : std::nullopt;
}

std::optional<Affine> ofRange(const Node* node) {
  std::optional<Dim> start = numberOf(node->inputs[0]), delta = numberOf(node->inputs[2]);
  if (!start || !delta) return std::nullopt;
  return Affine{*start, {*delta}};
}

std::optional<Affine> affineOf(const Value* value, int& visits) {
  if (!value || !isInteger(value->type.dtype) || ++visits > kMaxVisits) return std::nullopt;
  if (std::optional<Dim> number = numberOf(value))
    return Affine{*number, std::vector<Dim>(value->type.shape.rank(), 0)};
  if (value->isConstant()) return ofConstant(*value->constant);
  const Node* node = value->producer;
  if (!node || !node->op) return std::nullopt;
  if (node->as<Range>()) return ofRange(node);
  if (node->as<Add>() || node->as<Sub>()) return ofSum(node, visits);
  if (node->as<Mul>()) return ofProduct(node, visits);
  if (node->as<Slice>()) return ofSlice(node, visits);
  if (!node->as<Reshape>() && !node->as<Expand>() && !node->as<Cast>()) return std::nullopt;
  std::optional<Affine> inner = affineOf(node->inputs[0], visits);
  if (!inner) return std::nullopt;
  const Shape &before = node->inputs[0]->type.shape, &after = value->type.shape;
  if (node->as<Reshape>()) return throughReshape(*inner, before, after);
  return Affine{inner->offset, padded(*inner, after.rank())};
}

}  // namespace

std::optional<Affine> affineOf(const Value* value) {
  int visits = 0;
  return affineOf(value, visits);
}

std::optional<Dim> countingUp(const Affine& affine, const Shape& shape) {
  Dim count = 1;
  for (size_t axis = shape.rank(); axis-- > 0;) {
    if (shape[axis] == Dim(1)) continue;
    if (affine.steps[axis] != count) return std::nullopt;
    count = count * shape[axis];
  }
  return count;
}

}  // namespace carnot
