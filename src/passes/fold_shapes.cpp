#include <algorithm>

#include "ops/symbolic.h"
#include "passes/passes.h"

namespace carnot {

// Shape arithmetic: tensors whose contents follow from the shapes alone.
Proposal foldShapes(const Graph& graph, Node* node, const PassOptions&) {
  if (!node->op) return std::nullopt;
  std::optional<Patch> patch;
  for (Value* output : node->outputs) {
    if (!output->contents || !output->type.shape.isStatic()) continue;
    if (output->consumers.empty() && !graph.isOutput(output)) continue;
    const std::vector<Dim>& contents = *output->contents;
    const bool known = std::all_of(contents.begin(), contents.end(),
                                   [](const Dim& dim) { return dim.isConstant(); });
    // A constant cannot stand for an output of the graph; Symbolic can.
    const bool toConstant = known && !graph.isOutput(output);
    if (!toConstant && node->as<Symbolic>()) continue;
    if (!patch)
      patch.emplace("fold shape", node,
                    known ? "the contents are constant" : "the contents follow from the shapes");
    std::vector<int64_t> dims = output->type.shape.concrete();
    if (toConstant) {
      Tensor tensor(output->type.dtype, dims);
      for (size_t i = 0; i < contents.size(); ++i)
        tensor.view().storeInt(static_cast<int64_t>(i), contents[i].constant());
      patch->replace(output, patch->constant(std::move(tensor), output->name));
    } else {
      patch->replace(
          output,
          patch->add(Operator::of(Symbolic{Shape(contents), std::move(dims), output->type.dtype}),
                     {}));
    }
  }
  return patch;
}

}  // namespace carnot
