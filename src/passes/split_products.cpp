#include <algorithm>
#include <cstring>

#include "ops/mat_mul.h"
#include "ops/pointwise_binary.h"
#include "ops/reshape.h"
#include "ops/slice.h"
#include "ops/transpose.h"
#include "passes/match.h"
#include "passes/passes.h"

namespace carnot {

namespace {

// A product by constant weights, perhaps with a constant vector added, that one node reads.
struct Projection {
  Node* product = nullptr;
  Node* add = nullptr;
  Value* bias = nullptr;
};

std::optional<Projection> projectionBefore(const Graph& graph, const Value* value) {
  Projection found;
  if (!usedOnce(graph, value) || !value->producer) return std::nullopt;
  Node* node = value->producer;
  if (node->as<Add>()) {
    const WithConstant parts = withConstant(node);
    const size_t rank = node->outputs[0]->type.shape.rank();
    if (!parts || rank == 0 || parts.operand->type != node->outputs[0]->type ||
        parts.constant->type.shape.rank() == 0 ||
        parts.constant->type.shape.elementCount() != node->outputs[0]->type.shape[rank - 1] ||
        parts.constant->type.shape[parts.constant->type.shape.rank() - 1] !=
            node->outputs[0]->type.shape[rank - 1])
      return std::nullopt;
    found.add = node;
    found.bias = parts.constant;
    if (!usedOnce(graph, parts.operand) || !parts.operand->producer) return std::nullopt;
    node = parts.operand->producer;
  }
  const auto* op = node->as<MatMul>();
  if (!op || op->transposeA || !node->inputs[1]->isConstant() ||
      node->inputs[1]->type.shape.rank() != 2 || node->inputs[0]->type.shape.rank() < 2)
    return std::nullopt;
  found.product = node;
  return found;
}

// Moves rows of the last axis and nothing within them.
const Transpose* movesRows(const Node* node) {
  const auto* move = node ? node->as<Transpose>() : nullptr;
  return move && !move->perm.empty() &&
                 move->perm.back() == static_cast<int64_t>(move->perm.size()) - 1
             ? move
             : nullptr;
}

Dim rowsOf(const Shape& shape) {
  Dim rows = 1;
  for (size_t axis = 0; axis + 1 < shape.rank(); ++axis) rows = rows * shape[axis];
  return rows;
}

// [k, parts * n] as [parts, k, n]; transposed, [parts * n, k] as [parts, n, k].
Tensor splitWeights(const Tensor& weights, int64_t parts, bool transposed) {
  const std::vector<int64_t>& dims = weights.dims();
  if (transposed) {
    Tensor result(weights.dtype(), {parts, dims[0] / parts, dims[1]});
    std::memcpy(result.view().data, weights.data(), weights.bytes());
    return result;
  }
  const int64_t columns = dims[1] / parts;
  Tensor result(weights.dtype(), {parts, dims[0], columns});
  const size_t bytes = weights.bytes() / static_cast<size_t>(dims[0] * parts);  // of a part's row
  auto* to = static_cast<std::byte*>(result.view().data);
  const auto* from = static_cast<const std::byte*>(weights.data());
  for (int64_t part = 0; part < parts; ++part)
    for (int64_t k = 0; k < dims[0]; ++k, to += bytes)
      std::memcpy(to, from + static_cast<size_t>(k * parts + part) * bytes, bytes);
  return result;
}

}  // namespace

// A product whose columns are split into parts that a Transpose brings to the front (queries, keys
// and values by packed weights) as one product for each part, batched: the parts lie one behind
// the other at once.
Proposal splitProducts(const Graph& graph, Node* node, const PassOptions& options) {
  const auto* move = options.mergeProducts ? node->as<Transpose>() : nullptr;
  if (!move || !usedOnce(graph, node->inputs[0])) return std::nullopt;
  const Node* reshape = producerAs<Reshape>(node->inputs[0]);
  if (!reshape) return std::nullopt;
  const auto found = projectionBefore(graph, reshape->inputs[0]);
  if (!found) return std::nullopt;
  const Shape &out = reshape->inputs[0]->type.shape, &split = node->inputs[0]->type.shape;
  const size_t leading = out.rank() - 1;
  if (split.rank() <= leading + 1 || move->perm[0] != static_cast<int64_t>(leading))
    return std::nullopt;
  for (size_t axis = 0; axis < leading; ++axis)
    if (split[axis] != out[axis]) return std::nullopt;
  const auto parts = split[leading].tryConstant(), columns = out[leading].tryConstant();
  if (!parts || !columns || *parts < 2 || *columns % *parts != 0 || *columns == 0)
    return std::nullopt;

  // Rows that were moved before the product are moved behind it.
  Value* x = found->product->inputs[0];
  std::vector<int64_t> rows(leading);  // where each leading axis lies in x
  for (size_t axis = 0; axis < leading; ++axis) rows[axis] = static_cast<int64_t>(axis);
  if (const Node* before = x->producer)
    if (const Transpose* moved = movesRows(before)) {
      rows.assign(moved->perm.begin(), moved->perm.end() - 1);
      x = before->inputs[0];
    }

  Patch patch("split product", node, "into parts that a Transpose brings to the front");
  const Shape& from = x->type.shape;
  const Value* weights = found->product->inputs[1];
  const bool transposed = found->product->as<MatMul>()->transposeB;
  Patch::Ref all = patch.add(
      found->product->op,
      {patch.add(Operator::of(Reshape{Shape{Dim(1), rowsOf(from), from[from.rank() - 1]}}), {x}),
       patch.constant(splitWeights(*weights->constant, *parts, transposed), weights->name)});
  if (found->add) {
    const Tensor& bias = *found->bias->constant;
    Tensor each(bias.dtype(), {*parts, 1, *columns / *parts});
    std::memcpy(each.view().data, bias.data(), bias.bytes());
    all = patch.add(Operator::of(Add{}), {all, patch.constant(std::move(each), "bias")});
  }
  Shape placed{Dim(*parts)};
  for (size_t axis = 0; axis < leading; ++axis) placed.push(from[axis]);
  for (size_t axis = leading + 1; axis < split.rank(); ++axis) placed.push(split[axis]);
  all = patch.add(Operator::of(Reshape{placed}), {all});
  Transpose rest;
  for (int64_t axis : move->perm) {
    const auto at = static_cast<size_t>(axis);
    rest.perm.push_back(at == leading ? 0 : at < leading ? rows[at] + 1 : axis);
  }
  patch.replace(node->outputs[0], patch.add(Operator::of(std::move(rest)), {all}));
  return patch;
}

namespace {

// Slices of the first axis, which the Transpose leaves where it is.
Proposal sliceBeforeTranspose(const Graph& graph, Node* node) {
  const Value* moved = node->inputs[0];
  const Node* transpose = producerAs<Transpose>(moved);
  if (!transpose || transpose->as<Transpose>()->perm[0] != 0 || graph.isOutput(moved))
    return std::nullopt;
  const bool alone = std::ranges::all_of(moved->consumers, [](const Node* user) {
    const auto* slice = user->as<Slice>();
    return slice && slice->axes == std::vector<int64_t>{0};
  });
  if (!alone) return std::nullopt;
  Patch patch("slice before Transpose", node, "a slice of the first axis is a view");
  std::vector<Patch::Ref> inputs(node->inputs.begin(), node->inputs.end());
  inputs[0] = transpose->inputs[0];
  patch.replace(node->outputs[0],
                patch.add(transpose->op, {patch.add(node->op, std::move(inputs))}));
  return patch;
}

// Rows that a product leaves apart and that are moved behind it are moved before it, where another
// Transpose takes that over.
Proposal moveBeforeProduct(const Graph& graph, Node* node) {
  const Transpose* move = movesRows(node);
  if (!move || !usedOnce(graph, node->inputs[0])) return std::nullopt;
  const Node* after = producerAs<Reshape>(node->inputs[0]);
  if (!after) return std::nullopt;
  const auto found = projectionBefore(graph, after->inputs[0]);
  if (!found || after->inputs[0]->type.shape.rank() != 2) return std::nullopt;
  const Node* before = ownProducerAs<Reshape>(graph, found->product->inputs[0]);
  if (!before || !ownProducerAs<Transpose>(graph, before->inputs[0])) return std::nullopt;
  const Shape &from = before->inputs[0]->type.shape, &to = node->inputs[0]->type.shape;
  const size_t leading = to.rank() - 1;
  if (from.rank() <= leading) return std::nullopt;
  for (size_t axis = 0; axis < leading; ++axis)
    if (from[axis] != to[axis]) return std::nullopt;
  const Shape& columns = after->inputs[0]->type.shape;
  if (to[leading] != columns[1]) return std::nullopt;

  Patch patch("move rows before product", node, "where another Transpose moves them");
  Transpose first{.perm = {move->perm.begin(), move->perm.end() - 1}};
  for (size_t axis = leading; axis < from.rank(); ++axis)
    first.perm.push_back(static_cast<int64_t>(axis));
  Patch::Ref x = patch.add(Operator::of(std::move(first)), {before->inputs[0]});
  x = patch.add(before->op, {x});
  x = patch.add(found->product->op, {x, found->product->inputs[1]});
  if (found->add) x = patch.add(Operator::of(Add{}), {x, found->bias});
  patch.replace(node->outputs[0],
                patch.add(Operator::of(Reshape{node->outputs[0]->type.shape}), {x}));
  return patch;
}

}  // namespace

// Transposes go where they meet others: what attention reads and gives is moved by it.
Proposal moveRows(const Graph& graph, Node* node, const PassOptions& options) {
  if (!options.mergeProducts) return std::nullopt;
  if (const auto* slice = node->as<Slice>(); slice && slice->axes == std::vector<int64_t>{0})
    return sliceBeforeTranspose(graph, node);
  if (node->as<Transpose>()) return moveBeforeProduct(graph, node);
  return std::nullopt;
}

}  // namespace carnot
