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

InferContext::FreshSymbol symbolsOf(const Node& node) {
  return [&node, used = size_t(0)](std::string_view, const Dim&) mutable {
    if (used == node.symbols.size())
      broken(fmt::format("node {} makes more symbols than it has", node.name));
    return node.symbols[used++];
  };
}

// Types that inference gives now, on copies: the graph stays as it is.
void checkTypes(const Node& node) {
  std::vector<TensorType> expected;
  const std::vector<InferContext::Input> seen = node.inferInputs();
  if (node.region) {
    std::vector<TensorType> all = inferRegion(*node.region, seen, symbolsOf(node));
    for (int output : node.region->outputs) expected.push_back(all[output]);
  } else {
    InferContext context;
    context.inputs = seen;
    context.outputs.resize(node.outputs.size());
    context.freshSymbol = symbolsOf(node);
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

// Updates follow each other in one line, and whatever reads a state comes before its update.
void checkStates(const Graph& graph) {
  for (const auto& node : graph.nodes()) {
    for (const Update& update : node->updates()) {
      if (update.input >= node->inputs.size() || !node->inputs[update.input] ||
          !node->inputs[update.input]->isState)
        broken(
            fmt::format("node {} updates operand {}, which is no state", node->name, update.input));
      if (!node->outputs[update.output]->isState)
        broken(fmt::format("{} is a state after an update, and not marked so",
                           node->outputs[update.output]->name));
    }
  }
  size_t reached = 0;
  for (const StateOperand& state : graph.states) {
    const Value* value = state.before;
    if (!value->isState || value->producer)
      broken(fmt::format("state {} is computed, not given", value->name));
    for (++reached; Node* updater = Graph::updaterOf(value); ++reached) {
      for (const Node* reader : value->consumers)
        if (reader != updater && graph.placeOf(reader) >= graph.placeOf(updater))
          broken(fmt::format("node {} reads state {} after node {} has written it", reader->name,
                             value->name, updater->name));
      const std::vector<Update> updates = updater->updates();
      auto takes = [&](const Update& update) { return updater->inputs[update.input] == value; };
      if (std::ranges::count_if(updates, takes) != 1 ||
          std::ranges::count(updater->inputs, value) != 1)
        broken(fmt::format("node {} takes state {} twice", updater->name, value->name));
      value = updater->outputs[std::ranges::find_if(updates, takes)->output];
    }
    if (value != state.after)
      broken(fmt::format("state {} ends as {}, not as {}", state.before->name, value->name,
                         state.after->name));
  }
  for (const auto& value : graph.values()) reached -= value->isState;
  if (reached != 0) broken("a state that the graph does not list");
  for (const auto* side : {&graph.inputs, &graph.outputs})
    for (const Value* value : *side)
      if (value->isState) broken(fmt::format("state {} as an input or output", value->name));
}

}  // namespace

namespace {

void checkSymbols(const Node& node, const std::unordered_set<std::string>& unmade) {
  std::vector<std::string> used;
  for (const Value* output : node.outputs)
    for (const Dim& dim : output->type.shape) dim.collectSymbols(used);
  for (const std::string& name : used)
    if (unmade.contains(name))
      broken(fmt::format("node {} uses {} before a node makes it", node.name, name));
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
  for (const Value* input : graph.given()) defined.insert(input);
  names.clear();
  std::unordered_set<std::string> unmade;  // symbols of nodes further on
  for (const auto& node : graph.nodes())
    for (const Dim& symbol : node->symbols) unmade.insert(*symbol.asSymbol());
  for (const auto& node : graph.nodes()) {
    for (const Dim& symbol : node->symbols) unmade.erase(*symbol.asSymbol());
    if (!unmade.empty()) checkSymbols(*node, unmade);
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
  checkStates(graph);
  for (const Value* output : graph.outputs)
    if (!defined.contains(output)) broken(fmt::format("output {} is never computed", output->name));
}

}  // namespace carnot
