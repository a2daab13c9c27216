#include <algorithm>
#include <cstring>

#include "ops/mat_mul.h"
#include "ops/pointwise_binary.h"
#include "ops/reshape.h"
#include "ops/slice.h"
#include "passes/match.h"
#include "passes/passes.h"

namespace carnot {

namespace {

// One product by constant weights, perhaps with a constant bias behind it.
struct Projection {
  Node* product = nullptr;
  Value* bias = nullptr;    // [N], or a vector in more dims
  Value* result = nullptr;  // what the merged product gives
};

bool isProjection(const Node* node, const Value* x) {
  const auto* op = node->as<MatMul>();
  return op && !op->transposeA && node->inputs[0] == x && node->inputs[1] != x &&
         node->inputs[1]->isConstant() && node->inputs[1]->type.shape.rank() == 2;
}

Projection projectionOf(const Graph& graph, Node* product) {
  Projection found{product, nullptr, product->outputs[0]};
  if (!usedOnce(graph, found.result)) return found;
  if (found.result->consumers.empty()) return found;  // an output of the graph
  const Node* add = found.result->consumers[0];
  if (!add->as<Add>() || add->outputs[0]->type != found.result->type) return found;
  Value* other = add->inputs[add->inputs[0] == found.result ? 1 : 0];
  if (!other->isConstant() || other->type.dtype != found.result->type.dtype) return found;
  const Dim& columns = found.result->type.shape[found.result->type.shape.rank() - 1];
  if (other->type.shape.elementCount() != columns || other->type.shape.rank() == 0 ||
      other->type.shape[other->type.shape.rank() - 1] != columns)
    return found;
  found.bias = other;
  found.result = add->outputs[0];
  return found;
}

// The constants one behind the other; zeros where there is none.
Tensor stacked(const std::vector<const Tensor*>& parts, DType dtype, std::vector<int64_t> dims) {
  Tensor result(dtype, std::move(dims));
  const size_t bytes = result.bytes() / parts.size();
  auto* to = static_cast<std::byte*>(result.view().data);
  for (const Tensor* part : parts) {
    if (part)
      std::memcpy(to, part->data(), bytes);
    else
      std::memset(to, 0, bytes);
    to += bytes;
  }
  return result;
}

}  // namespace

// Products of one tensor by several weights of one shape (queries, keys and values) as one batched
// product, whose results lie one behind the other: what reads them is a view.
Proposal mergeProducts(const Graph& graph, Node* node, const PassOptions& options) {
  if (!options.mergeProducts || !node->as<MatMul>()) return std::nullopt;
  Value* x = node->inputs[0];
  if (!isProjection(node, x) || x->type.shape.rank() < 2) return std::nullopt;
  std::vector<Projection> group;
  for (Node* consumer : x->consumers)
    if (isProjection(consumer, x) && consumer->op == node->op &&
        consumer->inputs[1]->type == node->inputs[1]->type)
      group.push_back(projectionOf(graph, consumer));
  if (group.size() < 2 || group.back().product != node) return std::nullopt;

  const Shape& shape = x->type.shape;
  const DType dtype = node->outputs[0]->type.dtype;
  const std::vector<int64_t>& weight = node->inputs[1]->constant->dims();
  const auto count = static_cast<int64_t>(group.size());
  const int64_t columns = weight[node->as<MatMul>()->transposeB ? 0 : 1];
  Dim rows = 1;
  for (size_t axis = 0; axis + 1 < shape.rank(); ++axis) rows = rows * shape[axis];
  std::vector<const Tensor*> weights, biases;
  for (const Projection& one : group) {
    weights.push_back(one.product->inputs[1]->constant.get());
    biases.push_back(one.bias ? one.bias->constant.get() : nullptr);
  }

  Patch patch("merge products", node, "of one tensor by weights of one shape");
  Patch::Ref in =
      patch.add(Operator::of(Reshape{Shape{Dim(1), rows, shape[shape.rank() - 1]}}), {x});
  Patch::Ref all =
      patch.add(node->op, {in, patch.constant(stacked(weights, node->inputs[1]->type.dtype,
                                                      {count, weight[0], weight[1]}),
                                              node->inputs[1]->name)});
  if (std::ranges::any_of(biases, [](const Tensor* bias) { return bias != nullptr; }))
    all = patch.add(Operator::of(Add{}),
                    {all, patch.constant(stacked(biases, dtype, {count, 1, columns}), "bias")});
  for (int64_t i = 0; i < count; ++i) {
    const int64_t end = i + 1;
    Patch::Ref part = patch.add(Operator::of(Slice{.axes = {0}, .steps = {1}}),
                                {all, patch.constant(Tensor::ofInts({1}, {&i, 1}), "start"),
                                 patch.constant(Tensor::ofInts({1}, {&end, 1}), "end")});
    Value* result = group[static_cast<size_t>(i)].result;
    patch.replace(result, patch.add(Operator::of(Reshape{result->type.shape}), {part}));
  }
  return patch;
}

}  // namespace carnot
