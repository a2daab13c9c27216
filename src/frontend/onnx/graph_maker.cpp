#include "frontend/onnx/graph_maker.h"

#include <algorithm>

#include "base/error.h"
#include "base/shape.h"
#include "ops/evaluate.h"

namespace carnot {

namespace {

constexpr int64_t kMostRead = 4096;  // elements of all inputs of what is computed at import

// The tensor of integers that are all known, or an empty one.
Tensor knownContents(const Value& value) {
  if (!value.contents || !value.type.shape.isStatic()) return {};
  for (const Dim& dim : *value.contents)
    if (!dim.isConstant()) return {};
  Tensor tensor(value.type.dtype, value.type.shape.concrete());
  for (size_t i = 0; i < value.contents->size(); ++i)
    tensor.view().storeInt(static_cast<int64_t>(i), (*value.contents)[i].constant());
  return tensor;
}

}  // namespace

Value* GraphMaker::constant(const std::string& name, Tensor tensor) {
  return graph_.addConstant(name, std::move(tensor));
}

void GraphMaker::rollBack(const Mark& mark) {
  while (graph_.nodes().size() > mark.nodes) graph_.erase(graph_.nodes().back().get());
  graph_.guards.resize(mark.guards);
}

bool GraphMaker::computable(const Operator& op, const std::vector<Value*>& inputs,
                            size_t outputs) const {
  if (!op.definition().deterministic) return false;
  int64_t read = 0;
  std::vector<InferContext::Input> seen;
  for (const Value* input : inputs) {
    if (input && !input->constant) return false;
    if (input) read += input->constant->count();
    seen.push_back({});
    if (input) seen.back() = {&input->type, input->constant.get(), nullptr};
  }
  if (inputs.empty() || read > kMostRead) return false;

  InferContext context;
  context.inputs = seen;
  context.outputs.resize(outputs);
  bool dependsOnData = false;
  context.freshSymbol = [&](std::string_view hint, const Dim&) {
    dependsOnData = true;
    return Dim::symbol(std::string(hint));
  };
  try {
    op.definition().infer(op, context);
  } catch (const Error&) {
    return false;  // told again, with the node's name, when the node is made
  }
  return !dependsOnData &&
         std::all_of(context.outputs.begin(), context.outputs.end(), [](const auto& output) {
           return output.type.shape.isStatic() &&
                  elementCount(output.type.shape.concrete()) <= kMaxContents;
         });
}

std::vector<Value*> GraphMaker::emit(Operator op, std::vector<Value*> inputs, size_t outputs,
                                     const std::string& origin) {
  std::vector<Tensor> known;
  if (computable(op, inputs, outputs)) {
    std::vector<Tensor> tensors;
    for (const Value* input : inputs) tensors.push_back(input ? *input->constant : Tensor());
    known = evaluateOperator(op, tensors, outputs);
  }
  Node* node = nullptr;
  if (known.empty()) {
    node = graph_.addNode(origin, std::move(op), std::move(inputs), outputs);
    node->origins = {origin};
    for (const Value* output : node->outputs) {
      Tensor tensor = knownContents(*output);
      if (tensor.empty()) return node->outputs;
      known.push_back(std::move(tensor));
    }
    graph_.erase(node);
  }
  std::vector<Value*> values;
  for (Tensor& tensor : known) values.push_back(constant(origin, std::move(tensor)));
  return values;
}

}  // namespace carnot
