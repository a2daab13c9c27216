#include "plan/views.h"

#include <algorithm>
#include <map>

namespace carnot {

namespace {

bool isViewNode(const Node* node) {
  return node && node->op && node->op.definition().access == Access::View;
}

const Value* sourceOf(const Value* value) {
  while (isViewNode(value->producer)) value = value->producer->inputs[0];
  return value;
}

}  // namespace

ViewPlan planViews(const Graph& graph) {
  ViewPlan plan;
  // Tensors by whose bytes they show, each group in graph order.
  std::vector<const Value*> sources;
  std::unordered_map<const Value*, std::vector<const Value*>> groups;
  for (const auto& node : graph.nodes())
    for (const Value* output : node->outputs) {
      const Value* source = sourceOf(output);
      auto [found, fresh] = groups.try_emplace(source);
      if (fresh) sources.push_back(source);
      found->second.push_back(output);
    }
  for (const Value* source : sources) {
    const std::vector<const Value*>& members = groups.at(source);
    bool computed = source->producer && source->producer->region;
    const Value* owner = source;
    if (computed) {
      // Written straight into the application's memory where that is one of the group.
      auto output = std::find_if(members.begin(), members.end(),
                                 [&](const Value* value) { return graph.isOutput(value); });
      if (output != members.end()) {
        owner = *output;
        plan.outputs.insert(owner);
      }
    }
    for (const Value* member : members)
      if (member != owner) plan.views.emplace(member, ViewPlan::View{owner, Dim(0)});
  }
  return plan;
}

}  // namespace carnot
