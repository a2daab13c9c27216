#include "ops/expand.h"
#include "passes/match.h"
#include "passes/passes.h"

namespace carnot {

// Pointwise operators broadcast by themselves.
Proposal dropExpand(const Graph&, Node* node, const PassOptions&) {
  if (!isPointwise(node)) return std::nullopt;
  for (size_t i = 0; i < node->inputs.size(); ++i) {
    const Node* expand = producerAs<Expand>(node->inputs[i]);
    if (!expand) continue;
    std::vector<Value*> inputs = node->inputs;
    inputs[i] = expand->inputs[0];
    if (!givesType(node->op, inputs, node->outputs[0])) continue;
    Patch patch("drop Expand", node, "the operator broadcasts");
    patch.replace(node->outputs[0], patch.add(node->op, {inputs.begin(), inputs.end()}));
    return patch;
  }
  return std::nullopt;
}

}  // namespace carnot
