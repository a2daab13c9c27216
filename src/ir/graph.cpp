#include "ir/graph.h"

#include <fmt/format.h>

#include <algorithm>
#include <queue>
#include <unordered_set>

#include "base/error.h"
#include "base/limits.h"

namespace carnot {

namespace {
constexpr int64_t kSharedConstantElements = 64;
constexpr int64_t kContentsElements = 64;

// `stem`, or with the first number that makes it new.
std::string takeName(std::unordered_map<std::string, int>& names, std::string_view stem) {
  std::string base(stem);
  auto [found, fresh] = names.try_emplace(base, 0);
  if (fresh) return base;
  while (true) {
    std::string candidate = fmt::format("{}_{}", base, ++found->second);
    if (names.try_emplace(candidate, 0).second) return candidate;
    found = names.find(base);  // the table may have grown
  }
}

void requireRank(const TensorType& type) {
  if (type.shape.rank() > kMaxRank)
    throw Error(ErrorCode::Unsupported, fmt::format("rank {}", type.shape.rank()),
                fmt::format("rank {} at most", kMaxRank));
}

void removeOne(std::vector<Node*>& nodes, const Node* node) {
  if (auto found = std::find(nodes.begin(), nodes.end(), node); found != nodes.end())
    nodes.erase(found);
}
}  // namespace

std::string_view Node::opName() const { return op ? op.name() : std::string_view("Region"); }

std::vector<Update> Node::updates() const {
  return region ? region->updates() : op ? op.definition().updates : std::vector<Update>();
}

std::vector<InferContext::Input> Node::inferInputs() const {
  std::vector<InferContext::Input> seen(inputs.size());
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (!inputs[i]) continue;
    seen[i].type = &inputs[i]->type;
    seen[i].constant = inputs[i]->constant.get();
    seen[i].contents = inputs[i]->contents ? &*inputs[i]->contents : nullptr;
  }
  return seen;
}

Value* Graph::newValue(const std::string& valueName) {
  values_.push_back(std::make_unique<Value>());
  Value* value = values_.back().get();
  value->name = uniqueName(valueName);
  return value;
}

Graph Graph::clone() const {
  Graph copy;
  copy.name = name;
  copy.outputNames = outputNames;
  copy.guards = guards;
  copy.symbolBounds = symbolBounds;
  copy.names_ = names_;
  copy.nodeNames_ = nodeNames_;
  std::unordered_map<const Value*, Value*> values{{nullptr, nullptr}};
  for (const auto& value : values_) {
    copy.values_.push_back(std::make_unique<Value>(*value));
    Value* made = values[value.get()] = copy.values_.back().get();
    made->producer = nullptr;
    made->consumers.clear();
  }
  auto moved = [&](const std::vector<Value*>& list) {
    std::vector<Value*> out;
    for (const Value* value : list) out.push_back(values.at(value));
    return out;
  };
  for (const auto& node : nodes_) {
    copy.nodes_.push_back(std::make_unique<Node>(*node));
    Node* made = copy.nodes_.back().get();
    made->position = std::prev(copy.nodes_.end());
    made->inputs = moved(node->inputs);
    made->outputs = moved(node->outputs);
    for (std::shared_ptr<Graph>& body : made->bodies) body = std::make_shared<Graph>(body->clone());
    for (Value* input : made->inputs)
      if (input) input->consumers.push_back(made);
    for (Value* output : made->outputs) output->producer = made;
  }
  copy.inputs = moved(inputs);
  copy.outputs = moved(outputs);
  for (const StateOperand& state : states)
    copy.states.push_back({values.at(state.before), values.at(state.after)});
  return copy;
}

std::string Graph::uniqueName(std::string_view stem) {
  return takeName(names_, stem.empty() ? "t" : stem);
}

std::string Graph::uniqueNodeName(std::string_view stem) {
  return takeName(nodeNames_, stem.empty() ? "node" : stem);
}

Dim Graph::freshSymbol(std::string_view hint, Dim upper) {
  std::string name = uniqueName(fmt::format("{}_size", hint));
  symbolBounds.emplace(name, std::move(upper));
  return Dim::symbol(name);
}

Value* Graph::addInput(const std::string& inputName, TensorType type) {
  requireRank(type);
  Value* value = newValue(inputName);
  value->type = std::move(type);
  inputs.push_back(value);
  return value;
}

Value* Graph::addState(const std::string& stateName, TensorType type) {
  requireRank(type);
  Value* value = newValue(stateName);
  value->type = std::move(type);
  value->isState = true;
  states.push_back({value, value});
  return value;
}

Value* Graph::addConstant(const std::string& constantName, Tensor tensor) {
  return addConstant(constantName, std::make_shared<const Tensor>(std::move(tensor)));
}

Value* Graph::addConstant(const std::string& constantName, std::shared_ptr<const Tensor> tensor) {
  if (tensor->count() <= kSharedConstantElements) {
    for (const auto& value : values_)
      if (value->constant && value->constant->count() == tensor->count() &&
          value->constant->sameBytes(*tensor))
        return value.get();
  }
  const TensorType type = {tensor->dtype(), Shape::of(tensor->dims())};
  requireRank(type);
  Value* value = newValue(constantName);
  value->type = type;
  if (tensor->count() <= kContentsElements &&
      (isInteger(tensor->dtype()) || tensor->dtype() == DType::Bool)) {
    std::vector<Dim> contents;
    for (int64_t element : tensor->toInts()) contents.emplace_back(element);
    value->contents = std::move(contents);
  }
  value->constant = std::move(tensor);
  return value;
}

Node* Graph::addNode(const std::string& nodeName, Operator op, std::vector<Value*> nodeInputs,
                     size_t outputs, Node* before) {
  auto owned = std::make_unique<Node>();
  Node* node = owned.get();
  node->name = uniqueNodeName(nodeName);
  node->op = std::move(op);
  node->inputs = std::move(nodeInputs);
  for (size_t i = 0; i < outputs; ++i) {
    Value* value = newValue(fmt::format("{}:{}", node->name, i));
    value->producer = node;
    value->producerOutput = i;
    node->outputs.push_back(value);
  }
  for (Value* input : node->inputs)
    if (input) input->consumers.push_back(node);
  numbered_ = false;
  node->position = nodes_.insert(before ? before->position : nodes_.end(), std::move(owned));
  try {
    infer(node);
  } catch (...) {
    erase(node);
    throw;
  }
  return node;
}

Node* Graph::addRegion(const std::string& nodeName, Region region, std::vector<Value*> nodeInputs,
                       Node* before) {
  auto owned = std::make_unique<Node>();
  Node* node = owned.get();
  node->name = uniqueNodeName(nodeName);
  node->inputs = std::move(nodeInputs);
  for (size_t i = 0; i < region.outputs.size(); ++i) {
    Value* value = newValue(fmt::format("{}:{}", node->name, i));
    value->producer = node;
    value->producerOutput = i;
    node->outputs.push_back(value);
  }
  node->region = std::make_shared<const Region>(std::move(region));
  for (Value* input : node->inputs)
    if (input) input->consumers.push_back(node);
  numbered_ = false;
  node->position = nodes_.insert(before ? before->position : nodes_.end(), std::move(owned));
  infer(node);
  return node;
}

InferContext::FreshSymbol Graph::symbolsOf(Node* node) {
  return [this, node, used = size_t(0)](std::string_view hint, Dim upper) mutable {
    if (used == node->symbols.size())
      node->symbols.push_back(freshSymbol(hint, std::move(upper)));
    else
      symbolBounds.insert_or_assign(*node->symbols[used].asSymbol(), std::move(upper));
    return node->symbols[used++];
  };
}

void Graph::infer(Node* node) {
  for (const Update& update : node->updates())
    if (update.input < node->inputs.size() && node->inputs[update.input])
      node->outputs[update.output]->isState = node->inputs[update.input]->isState;
  try {
    const std::vector<InferContext::Input> seen = node->inferInputs();
    if (node->region) {
      std::vector<TensorType> all = inferRegion(*node->region, seen, symbolsOf(node));
      for (size_t i = 0; i < node->outputs.size(); ++i)
        node->outputs[i]->type = all[node->region->outputs[i]];
      return;
    }
    InferContext context;
    context.inputs = seen;
    context.outputs.resize(node->outputs.size());
    context.freshSymbol = symbolsOf(node);
    node->op.definition().infer(node->op, context);
    for (size_t i = 0; i < node->outputs.size(); ++i) {
      requireRank(context.outputs[i].type);
      node->outputs[i]->type = std::move(context.outputs[i].type);
      node->outputs[i]->contents = std::move(context.outputs[i].contents);
    }
    for (auto& guard : context.guards) {
      bool known = std::any_of(guards.begin(), guards.end(), [&](const Guard& other) {
        return other.a == guard.a && other.b == guard.b;
      });
      if (!known) guards.push_back({std::move(guard.a), std::move(guard.b), std::move(guard.what)});
    }
  } catch (Error& error) {
    error.within(fmt::format("node {} ({})", node->name, node->opName()));
    throw;
  }
}

void Graph::inferAll() {
  for (const auto& node : nodes_) infer(node.get());
}

void Graph::replaceUses(Value* from, Value* to) {
  for (Node* consumer : std::vector<Node*>(from->consumers)) {
    for (Value*& input : consumer->inputs) {
      if (input != from) continue;
      input = to;
      to->consumers.push_back(consumer);
    }
  }
  from->consumers.clear();
  for (Value*& output : outputs)
    if (output == from) output = to;
  for (StateOperand& state : states)
    if (state.after == from) state.after = to;
}

void Graph::setInput(Node* node, size_t index, Value* value) {
  if (Value* old = node->inputs.at(index)) removeOne(old->consumers, node);
  node->inputs[index] = value;
  if (value) value->consumers.push_back(node);
}

bool Graph::isOutput(const Value* value) const {
  if (std::find(outputs.begin(), outputs.end(), value) != outputs.end()) return true;
  return value->isState &&
         std::any_of(states.begin(), states.end(),
                     [&](const StateOperand& state) { return state.after == value; });
}

std::vector<Value*> Graph::given() const {
  std::vector<Value*> all = inputs;
  for (const StateOperand& state : states) all.push_back(state.before);
  return all;
}

Node* Graph::updaterOf(const Value* value) {
  if (!value->isState) return nullptr;
  for (Node* node : value->consumers)
    for (const Update& update : node->updates())
      if (update.input < node->inputs.size() && node->inputs[update.input] == value) return node;
  return nullptr;
}

size_t Graph::placeOf(const Node* node) const {
  if (!numbered_) {
    size_t place = 0;
    for (const auto& each : nodes_) each->place = place++;
    numbered_ = true;
  }
  return node->place;
}

void Graph::erase(Node* node) {
  for (Value* output : node->outputs)
    ensure(output->consumers.empty() && !isOutput(output), "an erased node is still used");
  for (Value* input : node->inputs)
    if (input) removeOne(input->consumers, node);
  std::erase_if(values_, [&](const auto& value) { return value->producer == node; });
  nodes_.erase(node->position);
}

void Graph::eraseUnusedValues() {
  std::unordered_set<const Value*> kept(inputs.begin(), inputs.end());
  kept.insert(outputs.begin(), outputs.end());
  for (const StateOperand& state : states) kept.insert(state.before);
  std::erase_if(values_, [&](const auto& value) {
    return !value->producer && value->consumers.empty() && !kept.contains(value.get());
  });
}

namespace {

void collectSymbols(const FieldMap& fields, std::vector<std::string>& out) {
  for (const auto& [name, value] : fields)
    if (const auto* shape = std::get_if<Shape>(&value))
      for (const Dim& dim : *shape) dim.collectSymbols(out);
}

// Names that a node's dims and attributes mention, its own included.
std::vector<std::string> symbolsNamedBy(const Node& node) {
  std::vector<std::string> names;
  for (const Value* output : node.outputs)
    for (const Dim& dim : output->type.shape) dim.collectSymbols(names);
  if (node.op) collectSymbols(node.op.fields(), names);
  if (node.region)
    for (const Region::Step& step : node.region->steps) collectSymbols(step.op.fields(), names);
  return names;
}

}  // namespace

bool Graph::isDead(const Node* node) const {
  for (const Value* output : node->outputs)
    if (!output->consumers.empty() || isOutput(output)) return false;
  for (const Dim& symbol : node->symbols) {
    // What replaces the node has taken its symbols over.
    const bool madeElsewhere = std::any_of(nodes_.begin(), nodes_.end(), [&](const auto& other) {
      return other.get() != node && std::find(other->symbols.begin(), other->symbols.end(),
                                              symbol) != other->symbols.end();
    });
    for (const auto& other : nodes_) {
      if (other.get() == node || madeElsewhere) continue;
      const std::vector<std::string> names = symbolsNamedBy(*other);
      if (std::find(names.begin(), names.end(), *symbol.asSymbol()) != names.end()) return false;
    }
  }
  return true;
}

std::vector<Node*> Graph::nodeList() const {
  std::vector<Node*> list;
  list.reserve(nodes_.size());
  for (const auto& node : nodes_) list.push_back(node.get());
  return list;
}

void Graph::sort() {
  auto later = [this](const Node* a, const Node* b) { return placeOf(a) > placeOf(b); };
  std::unordered_map<const Node*, size_t> waits;
  // The nodes that wait until a node has read a state.
  std::unordered_map<const Node*, std::vector<Node*>> updaters;
  for (const auto& value : values_)
    if (Node* updater = updaterOf(value.get()))
      for (const Node* reader : value->consumers)
        if (reader != updater) {
          updaters[reader].push_back(updater);
          ++waits[updater];
        }
  // Nodes that name another's symbols come after it.
  std::unordered_map<std::string, Node*> makers;
  for (const auto& node : nodes_)
    for (const Dim& symbol : node->symbols) makers.emplace(*symbol.asSymbol(), node.get());
  std::unordered_map<const Node*, std::vector<Node*>> namedBy;
  std::priority_queue<Node*, std::vector<Node*>, decltype(later)> ready(later);
  for (const auto& node : nodes_) {
    size_t& count = waits[node.get()];
    for (Value* input : node->inputs) count += input && input->producer;
    if (!makers.empty())
      for (const std::string& name : symbolsNamedBy(*node))
        if (auto maker = makers.find(name); maker != makers.end() && maker->second != node.get()) {
          namedBy[maker->second].push_back(node.get());
          ++count;
        }
    if (count == 0) ready.push(node.get());
  }
  size_t placed = 0;
  while (!ready.empty()) {
    Node* node = ready.top();
    ready.pop();
    nodes_.splice(nodes_.end(), nodes_, node->position);
    ++placed;
    for (Value* output : node->outputs)
      for (Node* consumer : output->consumers)
        if (--waits.at(consumer) == 0) ready.push(consumer);
    if (auto waiting = updaters.find(node); waiting != updaters.end())
      for (Node* updater : waiting->second)
        if (--waits.at(updater) == 0) ready.push(updater);
    if (auto named = namedBy.find(node); named != namedBy.end())
      for (Node* user : named->second)
        if (--waits.at(user) == 0) ready.push(user);
  }
  numbered_ = false;
  if (placed != nodes_.size())
    throw Error(ErrorCode::InvalidModel, "the graph has a cycle", "a directed acyclic graph");
}

}  // namespace carnot
