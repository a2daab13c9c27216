#include "passes/group.h"

#include <algorithm>
#include <unordered_map>
#include <unordered_set>

#include "ops/symbolic.h"

namespace carnot {

namespace {

// Whether the value's dims give a symbol that others may name.
bool givesSymbol(const Node& node, const Value& output) {
  const Shape& shape = output.type.shape;
  return std::any_of(node.symbols.begin(), node.symbols.end(), [&](const Dim& symbol) {
    return std::find(shape.begin(), shape.end(), symbol) != shape.end();
  });
}

}  // namespace

std::vector<Value*> Group::leaving() const {
  std::vector<Value*> values;
  for (const Node* node : nodes_)
    for (Value* output : node->outputs)
      if (graph_->isOutput(output) || (givesSymbol(*node, *output) && !graph_->isDead(node)) ||
          std::any_of(output->consumers.begin(), output->consumers.end(),
                      [&](const Node* consumer) { return !contains(consumer); }))
        values.push_back(output);
  return values;
}

size_t Group::inputCount() const {
  std::unordered_set<const Value*> inputs;
  for (const Node* node : nodes_)
    for (const Value* input : node->inputs)
      if (input && !(input->producer && contains(input->producer))) inputs.insert(input);
  return inputs.size();
}

bool Group::isConvex() const {
  const size_t last = graph_->placeOf(*nodes_.rbegin());
  std::unordered_set<const Node*> seen;
  std::vector<const Node*> pending;
  auto follow = [&](const Node* node) {
    for (const Value* output : node->outputs)
      for (const Node* consumer : output->consumers)
        if (graph_->placeOf(consumer) <= last && seen.insert(consumer).second)
          pending.push_back(consumer);
  };
  for (const Node* node : nodes_)
    for (const Value* output : node->outputs)
      for (const Node* consumer : output->consumers)
        if (!contains(consumer) && graph_->placeOf(consumer) < last && seen.insert(consumer).second)
          pending.push_back(consumer);
  while (!pending.empty()) {
    const Node* node = pending.back();
    pending.pop_back();
    if (contains(node)) return false;
    follow(node);
  }
  return true;
}

bool Group::reaches(const Value* value) const {
  const size_t first = graph_->placeOf(*nodes_.begin());
  std::unordered_set<const Node*> seen;
  std::vector<const Node*> pending;
  auto visit = [&](const Node* node) {
    if (node && graph_->placeOf(node) >= first && seen.insert(node).second) pending.push_back(node);
  };
  visit(value->producer);
  while (!pending.empty()) {
    const Node* node = pending.back();
    pending.pop_back();
    if (contains(node)) return true;
    for (const Value* input : node->inputs)
      if (input) visit(input->producer);
  }
  return false;
}

namespace {

// Writes nodes as a region: steps in the order in which the outputs call for them, operands first,
// so that equal networks give equal regions wherever they stand.
class RegionWriter {
 public:
  RegionWriter(const Group& group, const std::vector<Value*>& outputs) : group_(group) {
    for (const Value* output : outputs) visit(output->producer);
    for (const Node* node : order_)
      for (Value* operand : operandsOf(node)) {
        const bool isInput = operand && !isInside(operand);
        if (isInput && locals_.try_emplace(operand, region_.inputCount).second) {
          inputs_.push_back(operand);
          ++region_.inputCount;
        }
      }
    int next = region_.inputCount;
    for (const Node* node : order_) {
      Region::Step step{.op = node->op, .inputs = {}};
      for (const Value* operand : operandsOf(node))
        step.inputs.push_back(operand ? locals_.at(operand) : -1);
      step.firstOutput = next;
      step.outputCount = static_cast<int>(node->outputs.size());
      for (const Value* output : node->outputs) locals_.emplace(output, next++);
      region_.steps.push_back(std::move(step));
    }
    for (const Value* output : outputs) region_.outputs.push_back(locals_.at(output));
  }

  Region region() && { return std::move(region_); }
  const std::vector<Value*>& inputs() const { return inputs_; }

 private:
  bool isInside(const Value* value) const {
    return value->producer && group_.contains(value->producer);
  }

  // What a step before makes comes first, where the order is free.
  std::vector<Value*> operandsOf(const Node* node) const {
    std::vector<Value*> operands = node->inputs;
    if (node->op.definition().commutative && operands.size() == 2 && !isInside(operands[0]) &&
        isInside(operands[1]))
      std::swap(operands[0], operands[1]);
    return operands;
  }

  void visit(const Node* node) {
    if (std::find(order_.begin(), order_.end(), node) != order_.end()) return;
    for (const Value* operand : operandsOf(node))
      if (operand && isInside(operand)) visit(operand->producer);
    order_.push_back(node);
  }

  const Group& group_;
  Region region_;
  std::vector<const Node*> order_;
  std::vector<Value*> inputs_;
  std::unordered_map<const Value*, int> locals_;
};

}  // namespace

Patch Group::fused(std::string label) const {
  const std::vector<Value*> outputs = leaving();
  RegionWriter writer(*this, outputs);
  Patch patch(std::move(label), *nodes_.rbegin());
  std::vector<Patch::Ref> inputs(writer.inputs().begin(), writer.inputs().end());
  Patch::Ref made = patch.add(std::move(writer).region(), std::move(inputs));
  for (size_t i = 0; i < outputs.size(); ++i)
    patch.replace(outputs[i], Patch::outputOf(made, static_cast<int>(i)));
  return patch;
}

namespace {
bool usesState(const Node* node) {
  return std::ranges::any_of(node->inputs,
                             [](const Value* input) { return input && input->isState; });
}
}  // namespace

bool isComputed(const Node* node) {
  if (!node->op || node->control != Control::None || node->as<Symbolic>()) return false;
  return node->op.definition().access != Access::View || usesState(node);
}

bool isFusible(const Node* node) { return isComputed(node) && !usesState(node); }

}  // namespace carnot
