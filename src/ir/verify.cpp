#include "ir/verify.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <unordered_set>

#include "base/error.h"
#include "ir/graph.h"

namespace carnot {

namespace {

[[noreturn]] void broken(const std::string& what) {
  throwInternal(fmt::format("the graph is broken: {}", what));
}

// Types that inference gives now, on copies: the graph stays as it is.
void checkTypes(const Node& node) {
  std::vector<TensorType> expected;
  if (node.region) {
    std::vector<TensorType> types;
    std::vector<const Tensor*> constants;
    for (const Value* input : node.inputs) {
      types.push_back(input ? input->type : TensorType{});
      constants.push_back(input ? input->constant.get() : nullptr);
    }
    std::vector<TensorType> all = inferRegion(*node.region, types, constants);
    for (int output : node.region->outputs) expected.push_back(all[output]);
  } else {
    InferContext context;
    std::vector<InferContext::Input> seen;
    for (const Value* input : node.inputs) {
      InferContext::Input entry;
      if (input) {
        entry.type = &input->type;
        entry.constant = input->constant.get();
        entry.contents = input->contents ? &*input->contents : nullptr;
      }
      seen.push_back(entry);
    }
    context.inputs = seen;
    context.outputs.resize(node.outputs.size());
    int fresh = 0;
    context.freshSymbol = [&](std::string_view, Dim) {
      return Dim::symbol(fmt::format("verify_{}", fresh++));
    };
    node.op.definition().infer(node.op, context);
    for (auto& output : context.outputs) expected.push_back(output.type);
  }
  for (size_t i = 0; i < node.outputs.size(); ++i) {
    const TensorType& has = node.outputs[i]->type;
    bool agrees = has.dtype == expected[i].dtype && has.shape.rank() == expected[i].shape.rank();
    for (size_t axis = 0; agrees && axis < has.shape.rank(); ++axis)
      agrees = compare(has.shape[axis], expected[i].shape[axis]) != Equality::No;
    if (!agrees)
      broken(fmt::format("{} has type {}, inference gives {}", node.outputs[i]->name,
                         has.toString(), expected[i].toString()));
  }
}

}  // namespace

void verify(const Graph& graph) {
  std::unordered_set<const Value*> owned, defined;
  std::unordered_set<std::string_view> names;
  for (const auto& value : graph.values()) {
    owned.insert(value.get());
    if (!names.insert(value->name).second) broken(fmt::format("two tensors named {}", value->name));
    if (value->isConstant() && value->producer)
      broken(fmt::format("constant {} has a producer", value->name));
    if (value->isConstant()) defined.insert(value.get());
  }
  for (const Value* input : graph.inputs) defined.insert(input);
  names.clear();
  for (const auto& node : graph.nodes()) {
    if (!names.insert(node->name).second) broken(fmt::format("two nodes named {}", node->name));
    if (static_cast<bool>(node->op) == static_cast<bool>(node->region))
      broken(fmt::format("node {} needs an operator or a region", node->name));
    for (const Value* input : node->inputs) {
      if (!input) continue;
      if (!owned.contains(input)) broken(fmt::format("node {} reads a dropped tensor", node->name));
      if (!defined.contains(input))
        broken(fmt::format("node {} reads {} before it is computed", node->name, input->name));
      auto uses = std::count(node->inputs.begin(), node->inputs.end(), input);
      auto known = std::count(input->consumers.begin(), input->consumers.end(), node.get());
      if (uses != known)
        broken(fmt::format("{} lists node {} {} times, it is used {} times", input->name,
                           node->name, known, uses));
    }
    for (const Value* output : node->outputs) {
      if (!owned.contains(output))
        broken(fmt::format("node {} gives a dropped tensor", node->name));
      if (output->producer != node.get())
        broken(fmt::format("{} forgot its producer {}", output->name, node->name));
      if (!defined.insert(output).second) broken(fmt::format("{} is computed twice", output->name));
    }
    checkTypes(*node);
  }
  for (const Value* output : graph.outputs)
    if (!defined.contains(output)) broken(fmt::format("output {} is never computed", output->name));
}

}  // namespace carnot
