#include "plan/views.h"

#include <algorithm>
#include <utility>
#include <vector>

namespace carnot {

namespace {

class Planner {
 public:
  explicit Planner(const Graph& graph) : graph_(graph) {}

  ViewPlan plan() {
    for (const auto& node : graph_.nodes()) place(*node);
    for (const auto& node : graph_.nodes())
      for (const Value* output : node->outputs)
        if (!output->isState) groups_[rootOf(output).root].push_back(output);
    for (const auto& node : graph_.nodes())
      for (const Value* output : node->outputs)
        if (!links_.contains(output)) settle(output);
    for (const Value* input : graph_.inputs) settle(input);
    for (const auto& value : graph_.values())
      if (value->isConstant()) settle(value.get());
    return std::move(plan_);
  }

 private:
  using View = ViewPlan::View;

  // The operator of a node that may be only a placement; null when a region has several.
  static const Operator* singleOperator(const Node& node) {
    if (node.op) return &node.op;
    return node.region->steps.size() == 1 ? &node.region->steps[0].op : nullptr;
  }

  // States are read and written where they lie, in the order of the nodes: no view outlives them.
  static bool touchesState(const Node& node) {
    auto isState = [](const Value* value) { return value && value->isState; };
    return std::ranges::any_of(node.inputs, isState) || std::ranges::any_of(node.outputs, isState);
  }

  void place(const Node& node) {
    if (touchesState(node)) return;
    const Operator* op = singleOperator(node);
    if (!op || !op->definition().placements || node.outputs.size() != 1) return;
    const Value* output = node.outputs[0];
    if (node.region && dtypeBits(output->type.dtype) % 8 != 0) return;  // runs start within a byte
    std::vector<const Value*> inputs(node.inputs.begin(), node.inputs.end());
    std::vector<InferContext::Input> seen = node.inferInputs();
    if (node.region) {  // in the operator's order
      const std::vector<InferContext::Input> ofNode = std::exchange(seen, {});
      inputs.clear();
      for (int input : node.region->steps[0].inputs) {
        const auto at = static_cast<size_t>(input);
        inputs.push_back(input < 0 ? nullptr : node.inputs[at]);
        seen.push_back(input < 0 ? InferContext::Input{} : ofNode[at]);
      }
    }
    InferContext context;
    context.inputs = seen;
    context.outputs.push_back({output->type, std::nullopt});
    std::vector<Placement> placements = op->definition().placements(*op, context);
    if (placements.empty() || !output->layout.isPlain()) return;
    std::vector<std::pair<const Value*, Dim>> inside;
    for (const Placement& placement : placements) {
      const Value* input = inputs[placement.input];
      if (!input->layout.isPlain()) return;
      // What is written early must know how large it will be.
      if (placement.inputInside && dependsOnData(output->type.shape)) return;
      if (!placement.inputInside) {
        links_[output] = {input, placement.offset};
        plan_.elided.insert(&node);
        return;
      }
      View whole = rootOf(input);
      bool known = std::any_of(inside.begin(), inside.end(),
                               [&](const auto& entry) { return entry.first == whole.root; });
      if (known || !movable(input, whole)) return;
      inside.emplace_back(whole.root, placement.offset);
    }
    for (auto& [root, offset] : inside) links_[root] = {output, std::move(offset)};
    plan_.elided.insert(&node);
  }

  bool dependsOnData(const Shape& shape) const {
    std::vector<std::string> symbols;
    for (const Dim& dim : shape) dim.collectSymbols(symbols);
    return std::any_of(symbols.begin(), symbols.end(), [&](const std::string& symbol) {
      return graph_.symbolBounds.contains(symbol);
    });
  }

  // Whether the memory that `value` shows may be laid inside another tensor: a step writes it, all
  // of it is shown, and no graph output wants it for itself.
  bool movable(const Value* value, const View& whole) const {
    const Value* root = whole.root;
    if (!isWritten(root) || plan_.elided.contains(root->producer)) return false;
    if (!(whole.offset == Dim(0)) || root->type.dtype != value->type.dtype ||
        !(root->type.shape.elementCount() == value->type.shape.elementCount()))
      return false;
    for (const auto& other : graph_.values())
      if (graph_.isOutput(other.get()) && rootOf(other.get()).root == root) return false;
    return true;
  }

  // By a kernel, to where it is told.
  static bool isWritten(const Value* root) {
    return root->producer && root->producer->region && root->producer->symbols.empty();
  }

  View rootOf(const Value* value) const {
    View view{value, Dim(0)};
    for (auto link = links_.find(value); link != links_.end(); link = links_.find(view.root)) {
      view.root = link->second.root;
      view.offset = view.offset + link->second.offset;
    }
    return view;
  }

  // Chooses the owner of the bytes that `root` heads.
  void settle(const Value* root) {
    auto group = groups_.find(root);
    if (group == groups_.end()) return;
    const Value* owner = root;
    bool written = isWritten(root);
    if (written) {
      // Straight into the application's memory, where an output shows all of it.
      auto output =
          std::find_if(group->second.begin(), group->second.end(), [&](const Value* value) {
            return graph_.isOutput(value) && value->layout.isPlain() &&
                   rootOf(value).offset == Dim(0) && value->type.dtype == root->type.dtype &&
                   value->type.shape.elementCount() == root->type.shape.elementCount();
          });
      if (output != group->second.end()) {
        owner = *output;
        plan_.outputs.insert(owner);
      }
    }
    for (const Value* member : group->second)
      if (member != owner) plan_.views.emplace(member, View{owner, rootOf(member).offset});
    if (root != owner) plan_.views.insert_or_assign(root, View{owner, Dim(0)});
  }

  const Graph& graph_;
  ViewPlan plan_;
  std::unordered_map<const Value*, View> links_;  // one step towards the root
  std::unordered_map<const Value*, std::vector<const Value*>> groups_;
};

}  // namespace

ViewPlan planViews(const Graph& graph) { return Planner(graph).plan(); }

}  // namespace carnot
