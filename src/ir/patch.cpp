#include "ir/patch.h"

#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <map>
#include <unordered_set>

#include "base/error.h"

namespace carnot {

Patch::Ref Patch::add(Operator op, std::vector<Ref> inputs, int outputs) {
  additions_.push_back({std::move(op), nullptr, nullptr, {}, std::move(inputs), outputs, false});
  Ref ref;
  ref.index = static_cast<int>(additions_.size()) - 1;
  return ref;
}

Patch::Ref Patch::convert(Operator op, std::vector<Ref> inputs) {
  Ref ref = add(std::move(op), std::move(inputs));
  additions_.back().conversion = true;
  return ref;
}

Patch::Ref Patch::add(Region region, std::vector<Ref> inputs) {
  Ref ref = add(Operator(), std::move(inputs), static_cast<int>(region.outputs.size()));
  additions_.back().region = std::make_shared<const Region>(std::move(region));
  return ref;
}

Patch::Ref Patch::constant(Tensor tensor, std::string name) {
  Ref ref = add(Operator(), {}, 1);
  additions_.back().tensor = std::make_shared<const Tensor>(std::move(tensor));
  additions_.back().name = std::move(name);
  return ref;
}

namespace {

bool sameRankAndType(const TensorType& a, const TensorType& b) {
  if (a.dtype != b.dtype || a.shape.rank() != b.shape.rank()) return false;
  for (size_t axis = 0; axis < a.shape.rank(); ++axis)
    if (compare(a.shape[axis], b.shape[axis]) == Equality::No) return false;
  return true;
}

// A new node's symbols for dims that depend on data become those that the replaced tensor has.
void keepSymbols(Graph& graph, const Value& from, Value& to) {
  for (size_t axis = 0; axis < to.type.shape.rank(); ++axis) {
    std::vector<Dim>& made = to.producer->symbols;
    auto symbol = std::find(made.begin(), made.end(), to.type.shape[axis]);
    if (symbol == made.end() || !from.type.shape[axis].asSymbol()) continue;
    if (*symbol == from.type.shape[axis]) continue;
    graph.symbolBounds.erase(*symbol->asSymbol());
    const std::map<std::string, Dim> renamed{{*symbol->asSymbol(), from.type.shape[axis]}};
    *symbol = from.type.shape[axis];
    for (Value* output : to.producer->outputs)
      output->type.shape = output->type.shape.substitute(renamed);
  }
}

// Infers again every node that depends on `changed`, as far as something changes.
void inferBehind(Graph& graph, std::unordered_set<const Value*> changed) {
  for (const auto& node : graph.nodes()) {
    bool depends = std::any_of(node->inputs.begin(), node->inputs.end(),
                               [&](const Value* input) { return changed.contains(input); });
    if (!depends) continue;
    std::vector<std::pair<TensorType, std::optional<std::vector<Dim>>>> before;
    for (const Value* output : node->outputs) before.emplace_back(output->type, output->contents);
    graph.infer(node.get());
    for (size_t i = 0; i < before.size(); ++i) {
      const Value* output = node->outputs[i];
      if (output->type != before[i].first || output->contents != before[i].second)
        changed.insert(output);
    }
  }
}

// Puts the nodes in order when one reads what new nodes after it make.
void restoreOrder(Graph& graph, const std::vector<Node*>& fresh) {
  for (const Node* node : fresh)
    for (const Value* output : node->outputs)
      for (const Node* consumer : output->consumers)
        if (graph.placeOf(consumer) < graph.placeOf(fresh.front())) return graph.sort();
}

// By the place of the node that had them.
using Origins = std::map<size_t, std::vector<std::string>>;

// Erases what is dead of `pending` and of what only the dead used. Gives their addresses and
// gathers their origins.
std::vector<const Node*> eraseDead(Graph& graph, std::deque<Node*> pending, Origins& origins) {
  std::vector<const Node*> erased;
  while (!pending.empty()) {
    Node* node = pending.front();
    pending.pop_front();
    if (!graph.isDead(node)) continue;
    origins.emplace(graph.placeOf(node), node->origins);
    for (Value* input : node->inputs)
      if (input && input->producer) pending.push_back(input->producer);
    std::erase(pending, node);
    erased.push_back(node);
    graph.erase(node);
  }
  return erased;
}

}  // namespace

bool Patch::applicable(const Graph& graph) const {
  return std::none_of(replacements_.begin(), replacements_.end(), [&](const auto& replacement) {
    const auto& [from, to] = replacement;
    if (!graph.isOutput(from)) return false;
    if (to.index >= 0) return additions_[to.index].tensor != nullptr;
    return !to.existing->producer || graph.isOutput(to.existing);
  });
}

Patch::Built Patch::build(Graph& graph) const {
  Built built;
  auto& made = built.made;
  for (const Addition& addition : additions_) {
    if (addition.tensor) {
      made.push_back({graph.addConstant(addition.name, addition.tensor)});
      continue;
    }
    std::vector<Value*> inputs;
    inputs.reserve(addition.inputs.size());
    for (const Ref& ref : addition.inputs)
      inputs.push_back(ref.index >= 0 ? made[ref.index][ref.output] : ref.existing);
    Node* node = addition.region
                     ? graph.addRegion(root_->name, *addition.region, std::move(inputs), root_)
                     : graph.addNode(root_->name, addition.op, std::move(inputs),
                                     static_cast<size_t>(addition.outputs), root_);
    (addition.conversion ? built.conversions : built.nodes).push_back(node);
    made.push_back(node->outputs);
  }
  return built;
}

std::vector<const Node*> Patch::apply(Graph& graph) const {
  auto [nodes, conversions, made] = build(graph);
  std::vector<Node*> fresh = nodes;
  fresh.insert(fresh.end(), conversions.begin(), conversions.end());
  std::deque<Node*> candidates(dropped_.begin(), dropped_.end());
  std::unordered_set<const Value*> changed;
  auto madeBy = [](const std::vector<Node*>& makers, const Value* value) {
    return value->producer && std::ranges::find(makers, value->producer) != makers.end();
  };
  auto isFresh = [&](const Value* value) { return madeBy(fresh, value); };
  for (const auto& [from, ref] : replacements_) {
    Value* to = ref.index >= 0 ? made[ref.index][ref.output] : ref.existing;
    if (!sameRankAndType(from->type, to->type))
      throwInternal(fmt::format("patch {} replaces {} {} by {}", label_, from->name,
                                from->type.toString(), to->type.toString()));
    if (isFresh(to)) keepSymbols(graph, *from, *to);
    if (!to->contents) to->contents = from->contents;
    if (from->type != to->type || from->contents != to->contents) changed.insert(to);
    if (from->producer) candidates.push_back(from->producer);
    const bool wasOutput = graph.isOutput(from);
    graph.replaceUses(from, to);
    Value* named = to;
    if (!wasOutput && madeBy(conversions, to) && isFresh(to->producer->inputs[0]))
      named = to->producer->inputs[0];
    if (wasOutput || isFresh(to)) std::swap(from->name, named->name);
  }
  if (!fresh.empty()) {
    if (graph.isDead(root_)) std::swap(root_->name, (nodes.empty() ? fresh : nodes).back()->name);
    restoreOrder(graph, fresh);
  }
  Origins origins;
  std::vector<const Node*> erased = eraseDead(graph, std::move(candidates), origins);
  for (Node* node : nodes)
    for (const auto& [place, names] : origins)
      for (const std::string& name : names)
        if (std::find(node->origins.begin(), node->origins.end(), name) == node->origins.end())
          node->origins.push_back(name);
  if (!changed.empty()) inferBehind(graph, std::move(changed));
  return erased;
}

}  // namespace carnot
