#include <algorithm>

#include "passes/passes.h"

namespace carnot {

Proposal dropDeadNodes(const Graph& graph, Node* node, const PassOptions&) {
  const bool dead = std::all_of(
      node->outputs.begin(), node->outputs.end(),
      [&](const Value* output) { return output->consumers.empty() && !graph.isOutput(output); });
  if (!dead) return std::nullopt;
  Patch patch("drop " + std::string(node->opName()), node, "nothing uses it");
  patch.drop(node);
  return patch;
}

}  // namespace carnot
