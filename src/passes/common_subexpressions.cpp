#include <algorithm>

#include "passes/passes.h"

namespace carnot {

namespace {

bool sameWork(const Node* a, const Node* b) {
  return b->op && a->inputs == b->inputs && a->outputs.size() == b->outputs.size() &&
         a->op == b->op;
}

// An equal node, anywhere in the graph. Every such node reads the operand that is read least.
Node* findEqual(const Graph& graph, const Node* node) {
  const Value* rarest = nullptr;
  for (const Value* input : node->inputs)
    if (input && (!rarest || input->consumers.size() < rarest->consumers.size())) rarest = input;
  if (rarest) {
    for (Node* other : rarest->consumers)
      if (other != node && sameWork(node, other)) return other;
    return nullptr;
  }
  for (const auto& other : graph.nodes())
    if (other.get() != node && sameWork(node, other.get())) return other.get();
  return nullptr;
}

}  // namespace

Proposal shareEqualNodes(const Graph& graph, Node* node, const PassOptions&) {
  if (!node->op || !node->op.definition().deterministic) return std::nullopt;
  Node* other = findEqual(graph, node);
  if (!other) return std::nullopt;
  Node* first = graph.placeOf(node) < graph.placeOf(other) ? node : other;
  Node* second = first == node ? other : node;
  // Data-dependent dims would keep two names.
  for (size_t i = 0; i < first->outputs.size(); ++i)
    if (first->outputs[i]->type != second->outputs[i]->type) return std::nullopt;
  Patch patch("share " + std::string(node->opName()), second, "equal to " + first->name);
  for (size_t i = 0; i < first->outputs.size(); ++i)
    patch.replace(second->outputs[i], first->outputs[i]);
  return patch;
}

}  // namespace carnot
