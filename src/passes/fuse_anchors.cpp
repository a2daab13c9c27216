#include <algorithm>

#include "ops/attention.h"
#include "ops/transpose.h"
#include "passes/group.h"
#include "passes/match.h"
#include "passes/passes.h"

namespace carnot {

namespace {

bool isAnchor(const Node* node, Access access) {
  return isFusible(node) && node->op.definition().access == access && node->outputs.size() == 1;
}

const Shape& shapeOf(const Node* node) { return node->outputs[0]->type.shape; }

// Whether `value` comes, through pointwise nodes, from an anchor after `place` that could take what
// reads `value` itself. That anchor stands nearer.
bool belongsToLaterAnchor(const Graph& graph, const Value* value, const Shape& shape,
                          size_t place) {
  const Node* node = usedOnce(graph, value) ? value->producer : nullptr;
  if (!node || graph.placeOf(node) < place || !isFusible(node) || shapeOf(node) != shape)
    return false;
  if (node->op.definition().access == Access::Window) return true;
  return isPointwise(node) &&
         std::any_of(node->inputs.begin(), node->inputs.end(), [&](const Value* input) {
           return input && belongsToLaterAnchor(graph, input, shape, place);
         });
}

// Whether the group, grown from `anchor`, can take `node` as its next step.
bool extends(const Graph& graph, const Group& group, const Node* anchor, const Node* node) {
  if (!isFusible(node) || !isPointwise(node) || shapeOf(node) != shapeOf(anchor)) return false;
  return std::all_of(node->inputs.begin(), node->inputs.end(), [&](const Value* input) {
    if (!input || !input->producer || group.contains(input->producer)) return true;
    return !group.reaches(input) &&
           !belongsToLaterAnchor(graph, input, shapeOf(anchor), graph.placeOf(anchor));
  });
}

// Takes in the pointwise nodes behind the anchor for as long as no more tensors leave the group
// than before.
void growTail(const Graph& graph, Group& group, const Node* anchor) {
  const size_t leaving = group.leaving().size();
  const size_t inputs = group.inputCount() + Group::kMaxInputs;
  Group grown = group;
  std::set<const Node*> refused;
  for (;;) {
    Node* next = nullptr;
    for (const Node* node : grown)
      for (const Value* output : node->outputs)
        for (Node* consumer : output->consumers)
          if (!grown.contains(consumer) && !refused.contains(consumer) &&
              (!next || graph.placeOf(consumer) < graph.placeOf(next)))
            next = consumer;
    if (!next || grown.size() == Group::kMaxSteps) return;
    if (!extends(graph, grown, anchor, next)) {
      refused.insert(next);
      continue;
    }
    grown.add(next);
    if (grown.inputCount() > inputs) return;
    if (grown.leaving().size() <= leaving) group = grown;
  }
}

// Takes in the pointwise nodes before the anchor's first operand. One that others read too leaves
// the group as well, where it has the anchor's shape.
void growHead(Group& group, const Node* anchor) {
  const Shape& shape = anchor->inputs[0]->type.shape;
  const size_t inputs = group.inputCount() + Group::kMaxInputs;
  std::vector<const Value*> pending{anchor->inputs[0]};
  while (!pending.empty()) {
    const Value* value = pending.back();
    pending.pop_back();
    Node* node = value->producer;
    if (!node || group.contains(node) || !isFusible(node) || !isPointwise(node)) continue;
    if (shapeOf(node) != shape || group.size() == Group::kMaxSteps) continue;
    Group grown = group;
    grown.add(node);
    const bool leaves = grown.leaving().size() > group.leaving().size();
    if (leaves && (shape != shapeOf(anchor) || grown.leaving().size() > 2)) continue;
    if (grown.inputCount() > inputs || !grown.isConvex()) continue;
    group = std::move(grown);
    for (const Value* input : node->inputs)
      if (input) pending.push_back(input);
  }
}

}  // namespace

// Convolutions, pools, products and attention with the bias, the residual and the activation
// behind.
Proposal fuseWindows(const Graph& graph, Node* node, const PassOptions&) {
  if (!isAnchor(node, Access::Window)) return std::nullopt;
  Group group(graph);
  group.add(node);
  growTail(graph, group, node);
  return group.size() > 1 ? Proposal(group.fused("fuse window")) : std::nullopt;
}

namespace {

// Moves rows of the last axis and nothing within them.
bool movesRows(const Node* node) {
  const auto* move = node && isFusible(node) ? node->as<Transpose>() : nullptr;
  return move && !move->perm.empty() &&
         move->perm.back() == static_cast<int64_t>(move->perm.size()) - 1;
}

}  // namespace

// Attention with the transposes that bring its rows and take the result's away.
Proposal fuseAttention(const Graph& graph, Node* node, const PassOptions&) {
  if (!node->as<Attention>()) return std::nullopt;
  Group group(graph);
  group.add(node);
  for (size_t i = 0; i < 3; ++i) {
    Node* move = node->inputs[i]->producer;
    const bool own = move && std::ranges::all_of(node->inputs[i]->consumers,
                                                 [&](const Node* user) { return user == node; });
    if (own && !graph.isOutput(node->inputs[i]) && movesRows(move)) group.add(move);
  }
  const Value* result = node->outputs[0];
  if (usedOnce(graph, result) && movesRows(result->consumers[0])) group.add(result->consumers[0]);
  return group.size() > 1 ? Proposal(group.fused("fuse attention")) : std::nullopt;
}

// Softmax, norms and reductions with the pointwise nodes around them.
Proposal fuseReductions(const Graph& graph, Node* node, const PassOptions&) {
  if (!isAnchor(node, Access::Reduce)) return std::nullopt;
  Group group(graph);
  group.add(node);
  growHead(group, node);
  growTail(graph, group, node);
  return group.size() > 1 ? Proposal(group.fused("fuse reduction")) : std::nullopt;
}

}  // namespace carnot
