#include "ops/attention.h"
#include "ops/expand.h"
#include "ops/mat_mul.h"
#include "passes/match.h"
#include "passes/passes.h"

namespace carnot {

namespace {

bool broadcasts(const Node* node, size_t input) {
  return isPointwise(node) || node->as<MatMul>() || (node->as<Attention>() && input == 3);
}

}  // namespace

// Pointwise operators, the outer dims of products and the mask of attention broadcast by
// themselves. A pointwise operator of expanded operands alone runs before they are expanded.
Proposal dropExpand(const Graph&, Node* node, const PassOptions&) {
  std::vector<Value*> before = node->inputs;
  for (size_t i = 0; i < node->inputs.size(); ++i) {
    const Node* expand = broadcasts(node, i) ? producerAs<Expand>(node->inputs[i]) : nullptr;
    if (!expand) continue;
    before[i] = expand->inputs[0];
    std::vector<Value*> inputs = node->inputs;
    inputs[i] = before[i];
    if (!givesType(node->op, inputs, node->outputs[0])) continue;
    Patch patch("drop Expand", node, "the operator broadcasts");
    patch.replace(node->outputs[0], patch.add(node->op, {inputs.begin(), inputs.end()}));
    return patch;
  }
  if (before == node->inputs || !isPointwise(node)) return std::nullopt;
  Patch patch("Expand behind", node, "the operator runs on fewer elements");
  Patch::Ref result = patch.add(node->op, {before.begin(), before.end()});
  const Operator expand = Operator::of(Expand{node->outputs[0]->type.shape});
  patch.replace(node->outputs[0], patch.add(expand, {result}));
  return patch;
}

}  // namespace carnot
