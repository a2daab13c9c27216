#include <algorithm>

#include "passes/group.h"
#include "passes/match.h"
#include "passes/passes.h"

namespace carnot {

namespace {

// The first node, in order, that makes or reads a tensor of the group and is not in `seen`.
Node* nextNeighbour(const Graph& graph, const Group& group, const std::set<const Node*>& seen) {
  Node* next = nullptr;
  auto consider = [&](Node* node) {
    if (!node || group.contains(node) || seen.contains(node)) return;
    if (!next || graph.placeOf(node) < graph.placeOf(next)) next = node;
  };
  for (const Node* node : group) {
    for (const Value* input : node->inputs)
      if (input) consider(input->producer);
    for (const Value* output : node->outputs)
      for (Node* consumer : output->consumers) consider(consumer);
  }
  return next;
}

}  // namespace

// What has no anchor becomes loops: as many connected pointwise nodes of one shape as fit.
Proposal fusePointwise(const Graph& graph, Node* node, const PassOptions&) {
  if (!isFusible(node) || !isPointwise(node)) return std::nullopt;
  Group group(graph);
  group.add(node);
  std::set<const Node*> seen;
  while (Node* next = nextNeighbour(graph, group, seen)) {
    seen.insert(next);
    if (!isFusible(next) || !isPointwise(next) ||
        next->outputs[0]->type.shape != node->outputs[0]->type.shape)
      continue;
    Group grown = group;
    grown.add(next);
    if (grown.size() <= Group::kMaxSteps && grown.inputCount() <= Group::kMaxInputs &&
        grown.isConvex())
      group = std::move(grown);
  }
  return group.size() > 1 ? Proposal(group.fused("fuse pointwise")) : std::nullopt;
}

// Every other operator is a region of its own; views and shape tensors stay operators.
Proposal wrapOperators(const Graph& graph, Node* node, const PassOptions&) {
  if (!isComputed(node)) return std::nullopt;
  Group group(graph);
  group.add(node);
  if (!group.leaving().empty()) return group.fused("wrap " + std::string(node->opName()));
  Patch patch("drop " + std::string(node->opName()), node, "nothing uses it");
  patch.drop(node);
  return patch;
}

}  // namespace carnot
