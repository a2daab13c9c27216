#include <algorithm>

#include "ops/cast.h"
#include "ops/concat.h"
#include "ops/expand.h"
#include "ops/reshape.h"
#include "ops/transpose.h"
#include "passes/match.h"
#include "passes/passes.h"

namespace carnot {

namespace {

// Bits of the integers around 0 that the type holds exactly.
int exactIntegerBits(DType type) {
  switch (type) {
    case DType::F64:
      return 53;
    case DType::F32:
      return 24;
    case DType::F16:
      return 11;
    case DType::BF16:
      return 8;
    default:
      return isSigned(type) ? dtypeBits(type) - 1 : dtypeBits(type);
  }
}

// Every value of `from` is a value of `to`.
bool isLossless(DType from, DType to) {
  if (from == to || from == DType::Bool) return !isComplex(to);
  if (isInteger(from) && isInteger(to))
    return exactIntegerBits(from) <= exactIntegerBits(to) && (isSigned(to) || !isSigned(from));
  if (isInteger(from) && isFloat(to))
    return dtypeBits(to) >= 16 && exactIntegerBits(from) <= exactIntegerBits(to);
  if (to == DType::F64) return isFloat(from);
  if (to == DType::F32) return isFloat(from) && from != DType::F64;
  return false;
}

Proposal mergeCasts(Node* node) {
  const Node* inner = producerAs<Cast>(node->inputs[0]);
  if (!inner) return std::nullopt;
  const DType from = inner->inputs[0]->type.dtype, middle = inner->outputs[0]->type.dtype;
  if (!isLossless(from, middle)) return std::nullopt;
  Patch patch("merge Cast", node, "the first cast loses nothing");
  patch.replace(node->outputs[0], patch.add(node->op, {inner->inputs[0]}));
  return patch;
}

Proposal mergeTransposes(Node* node) {
  const Node* inner = producerAs<Transpose>(node->inputs[0]);
  if (!inner) return std::nullopt;
  const std::vector<int64_t>&first = inner->as<Transpose>()->perm,
        &second = node->as<Transpose>()->perm;
  Transpose both;
  for (int64_t axis : second) both.perm.push_back(first[static_cast<size_t>(axis)]);
  Patch patch("merge Transpose", node);
  patch.replace(node->outputs[0], patch.add(Operator::of(std::move(both)), {inner->inputs[0]}));
  return patch;
}

// A transpose that keeps the order of all axes with more than one element moves nothing.
Proposal viewTranspose(Node* node) {
  const Shape& shape = node->inputs[0]->type.shape;
  int64_t last = -1;
  for (int64_t axis : node->as<Transpose>()->perm) {
    if (shape[static_cast<size_t>(axis)] == Dim(1)) continue;
    if (axis < last) return std::nullopt;
    last = axis;
  }
  Patch patch("view Transpose", node, "only dims of 1 move");
  patch.replace(node->outputs[0],
                patch.add(Operator::of(Reshape{node->outputs[0]->type.shape}), {node->inputs[0]}));
  return patch;
}

// For each dim of `from` how many dims of `to` it is split into; nullopt when some dim of `to`
// holds parts of several.
std::optional<std::vector<size_t>> splits(const Shape& from, const Shape& to) {
  std::vector<size_t> counts;
  size_t next = 0;
  for (const Dim& dim : from) {
    size_t count = 0;
    for (Dim product = 1; product != dim; product = product * to[next++], ++count)
      if (next == to.rank()) return std::nullopt;
    counts.push_back(count);
  }
  for (; next < to.rank(); ++next, ++counts.back())
    if (counts.empty() || to[next] != Dim(1)) return std::nullopt;
  return counts;
}

// A Reshape that splits dims of a transposed tensor splits them before the Transpose as well: so
// transposes meet each other, and what reads their rows.
Proposal splitBeforeTranspose(const Graph& graph, Node* node) {
  const Node* move = ownProducerAs<Transpose>(graph, node->inputs[0]);
  if (!move) return std::nullopt;
  const Shape &moved = node->inputs[0]->type.shape, &to = node->outputs[0]->type.shape;
  const std::optional<std::vector<size_t>> counts = splits(moved, to);
  if (!counts) return std::nullopt;
  const std::vector<int64_t>& perm = move->as<Transpose>()->perm;
  // The dims of `to` that come from each axis, in the order of the axes before the Transpose.
  std::vector<size_t> firsts(perm.size()), axisAt(perm.size());
  size_t first = 0;
  for (size_t i = 0; i < perm.size(); first += (*counts)[i++]) {
    firsts[i] = first;
    axisAt[static_cast<size_t>(perm[i])] = i;
  }
  std::vector<int64_t> newPerm(to.rank());
  std::vector<Dim> dims;
  for (size_t i : axisAt)
    for (size_t j = firsts[i]; j < firsts[i] + (*counts)[i]; ++j) {
      newPerm[j] = static_cast<int64_t>(dims.size());
      dims.push_back(to[j]);
    }
  Patch patch("split before Transpose", node);
  Patch::Ref reshaped = patch.add(Operator::of(Reshape{Shape(std::move(dims))}), {move->inputs[0]});
  patch.replace(node->outputs[0],
                patch.add(Operator::of(Transpose{std::move(newPerm)}), {reshaped}));
  return patch;
}

// One operator of the same kind that does what it and its operand's producer do.
template <typename T>
Proposal mergeSame(Node* node) {
  const Node* inner = producerAs<T>(node->inputs[0]);
  if (!inner || !givesType(node->op, {inner->inputs[0]}, node->outputs[0])) return std::nullopt;
  Patch patch("merge " + std::string(node->opName()), node);
  patch.replace(node->outputs[0], patch.add(node->op, {inner->inputs[0]}));
  return patch;
}

// An Expand that only adds leading dims of 1, or none.
Proposal viewExpand(Node* node) {
  const Shape &from = node->inputs[0]->type.shape, &to = node->outputs[0]->type.shape;
  if (from.elementCount() != to.elementCount()) return std::nullopt;
  Patch patch("view Expand", node, "as many elements as before");
  patch.replace(node->outputs[0], patch.add(Operator::of(Reshape{to}), {node->inputs[0]}));
  return patch;
}

// Concat(a, Concat(b, c), d) along one axis.
Proposal mergeConcats(const Graph& graph, Node* node) {
  std::vector<Patch::Ref> parts;
  for (Value* input : node->inputs) {
    const Node* inner = ownProducerAs<Concat>(graph, input);
    if (inner && inner->op == node->op)
      parts.insert(parts.end(), inner->inputs.begin(), inner->inputs.end());
    else
      parts.emplace_back(input);
  }
  if (parts.size() == node->inputs.size()) return std::nullopt;
  Patch patch("merge Concat", node);
  patch.replace(node->outputs[0], patch.add(node->op, std::move(parts)));
  return patch;
}

}  // namespace

// Chains of operators that only move or retype elements become one of them.
Proposal mergeMoves(const Graph& graph, Node* node, const PassOptions&) {
  if (node->as<Cast>()) return mergeCasts(node);
  if (node->as<Reshape>()) {
    Proposal merged = mergeSame<Reshape>(node);
    return merged ? std::move(merged) : splitBeforeTranspose(graph, node);
  }
  if (node->as<Concat>()) return mergeConcats(graph, node);
  if (node->as<Expand>()) {
    Proposal merged = mergeSame<Expand>(node);
    return merged ? std::move(merged) : viewExpand(node);
  }
  if (node->as<Transpose>()) {
    Proposal merged = mergeTransposes(node);
    return merged ? std::move(merged) : viewTranspose(node);
  }
  return std::nullopt;
}

}  // namespace carnot
