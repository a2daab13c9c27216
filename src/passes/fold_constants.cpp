#include <algorithm>

#include "ops/evaluate.h"
#include "passes/passes.h"

namespace carnot {

namespace {

// Bytes of the outputs; nullopt when their dims are not numbers.
std::optional<double> outputBytes(const Node* node) {
  double total = 0;
  for (const Value* output : node->outputs) {
    double bytes = dtypeBits(output->type.dtype) / 8.0;
    for (const Dim& dim : output->type.shape) {
      if (!dim.isConstant()) return std::nullopt;
      bytes *= static_cast<double>(dim.constant());
    }
    total += bytes;
  }
  return total;
}

}  // namespace

Proposal foldConstants([[maybe_unused]] const Graph& graph, Node* node,
                       const PassOptions& options) {
  if (!node->op || !node->op.definition().deterministic) return std::nullopt;
  const bool known = std::all_of(node->inputs.begin(), node->inputs.end(),
                                 [](const Value* input) { return !input || input->isConstant(); });
  // Without inputs, what the node gives depends on something else: the shapes, the random state.
  if (!known || node->inputs.empty()) return std::nullopt;
  std::optional<double> bytes = outputBytes(node);
  if (!bytes || *bytes > static_cast<double>(options.foldLimitBytes)) return std::nullopt;

  std::vector<Tensor> inputs;
  for (const Value* input : node->inputs) inputs.push_back(input ? *input->constant : Tensor());
  std::vector<Tensor> results = evaluateOperator(node->op, inputs, node->outputs.size());
  Patch patch("fold " + std::string(node->opName()), node, "all operands are constant");
  for (size_t i = 0; i < results.size(); ++i)
    patch.replace(node->outputs[i], patch.constant(std::move(results[i]), node->outputs[i]->name));
  return patch;
}

}  // namespace carnot
