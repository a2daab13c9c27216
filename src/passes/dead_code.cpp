#include "passes/passes.h"

namespace carnot {

Proposal dropDeadNodes(const Graph& graph, Node* node, const PassOptions&) {
  if (!graph.isDead(node)) return std::nullopt;
  Patch patch("drop " + std::string(node->opName()), node, "nothing uses it");
  patch.drop(node);
  return patch;
}

}  // namespace carnot
