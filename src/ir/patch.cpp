#include "ir/patch.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/error.h"

namespace carnot {

Patch::Ref Patch::add(Operator op, std::vector<Ref> inputs, int outputs) {
  additions_.push_back({std::move(op), nullptr, nullptr, {}, std::move(inputs), outputs});
  Ref ref;
  ref.index = static_cast<int>(additions_.size()) - 1;
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

void Patch::apply(Graph& graph) const {
  std::vector<std::vector<Value*>> made;
  std::vector<Node*> fresh;
  auto resolve = [&](const Ref& ref) -> Value* {
    return ref.index >= 0 ? made[ref.index][ref.output] : ref.existing;
  };
  for (const Addition& addition : additions_) {
    if (addition.tensor) {
      made.push_back({graph.addConstant(addition.name, addition.tensor)});
      continue;
    }
    std::vector<Value*> inputs;
    for (const Ref& ref : addition.inputs) inputs.push_back(resolve(ref));
    Node* node = addition.region
                     ? graph.addRegion(root_->name, *addition.region, std::move(inputs), root_)
                     : graph.addNode(root_->name, addition.op, std::move(inputs),
                                     static_cast<size_t>(addition.outputs), root_);
    fresh.push_back(node);
    made.push_back(node->outputs);
  }

  std::vector<Node*> candidates;
  for (const auto& [from, ref] : replacements_) {
    Value* to = resolve(ref);
    if (from->type.dtype != to->type.dtype || from->type.shape.rank() != to->type.shape.rank())
      throwInternal(fmt::format("patch {} replaces {} {} by {}", label_, from->name,
                                from->type.toString(), to->type.toString()));
    bool wasOutput = graph.isOutput(from);
    if (from->producer) candidates.push_back(from->producer);
    graph.replaceUses(from, to);
    // The interface keeps its names.
    if (wasOutput && std::find(fresh.begin(), fresh.end(), to->producer) != fresh.end())
      std::swap(from->name, to->name);
  }

  std::vector<std::string> origins;
  std::set<Node*> queued(candidates.begin(), candidates.end());
  while (!queued.empty()) {
    Node* node = *queued.begin();
    queued.erase(queued.begin());
    bool dead = std::all_of(node->outputs.begin(), node->outputs.end(), [&](const Value* value) {
      return value->consumers.empty() && !graph.isOutput(value);
    });
    if (!dead) continue;
    for (Value* input : node->inputs)
      if (input && input->producer && input->producer != node) queued.insert(input->producer);
    origins.insert(origins.end(), node->origins.begin(), node->origins.end());
    std::erase(fresh, node);
    graph.erase(node);
  }
  for (Node* node : fresh)
    for (const std::string& origin : origins)
      if (std::find(node->origins.begin(), node->origins.end(), origin) == node->origins.end())
        node->origins.push_back(origin);
}

}  // namespace carnot
