#include <map>

#include "frontend/onnx/condition.h"
#include "frontend/onnx/emit.h"
#include "frontend/onnx/importer.h"
#include "ops/control_flow.h"
#include "ops/reshape.h"

namespace carnot::onnx {

namespace {

// Rounds in which carried dims may turn out to change.
constexpr int kMostRounds = 64;

// Fields of If and Loop.
struct FoundTypes {
  std::vector<int64_t> types, ranks, dims;

  void add(DType dtype, const Shape& shape) {
    types.push_back(static_cast<int64_t>(dtype));
    ranks.push_back(static_cast<int64_t>(shape.rank()));
    for (const Dim& dim : shape) dims.push_back(dim.tryConstant().value_or(-1));
  }
};

Node* addControl(Target& target, const std::string& name, Operator op, Control control,
                 std::vector<Value*> inputs, size_t outputs) {
  Node* node = target.graph->addNode(name, std::move(op), std::move(inputs), outputs);
  node->control = control;
  node->origins = {name};
  return node;
}

void finish(Graph& body, std::vector<Value*> outputs) {
  body.outputs = std::move(outputs);
  for (size_t i = 0; i < body.outputs.size(); ++i)
    body.outputNames.push_back(fmt::format("output {}", i));
  body.eraseUnusedValues();
}

}  // namespace

const OnnxGraph& Importer::graphOf(const OnnxCall& call, std::string_view attribute) {
  for (const NamedAttribute& each : call.attributes)
    if (each.name == attribute && each.value->graphs.size() == 1) return each.value->graphs[0];
  invalid(fmt::format("no attribute {}", attribute), "that graph");
}

Importer::OpenBody Importer::openBody(Scope& outer) const {
  OpenBody open;
  open.target = std::make_unique<Target>(std::make_shared<Graph>(), outer.target);
  open.scope.outer = &outer;
  open.scope.target = open.target.get();
  return open;
}

std::vector<Item> Importer::importBody(const OnnxGraph& graph, Scope& scope,
                                       const std::string& name, const Body& caller) {
  requireSupported(graph.nodes, lookup(caller.opsets));
  defineInitializers(graph, scope);
  collectUsed(graph.nodes, scope.used);
  for (const OnnxValueInfo& output : graph.outputs) scope.used.insert(output.name);
  Body body{caller.opsets, caller.attributes, name + "/", caller.depth + 1};
  importNodes(graph.nodes, scope, body);
  std::vector<Item> results;
  for (const OnnxValueInfo& output : graph.outputs) {
    results.push_back(resolve(output.name, scope));
    if (!results.back()) invalid("an output without a name", "a name");
  }
  return results;
}

std::optional<int64_t> Importer::usualDim(const Dim& dim, const Target& target) const {
  std::vector<std::string> symbols;
  dim.collectSymbols(symbols);
  std::map<std::string, Dim> values;
  for (const std::string& symbol : symbols) {
    std::optional<int64_t> value;
    if (const Dim* around = target.outerDim(symbol)) {
      value = usualDim(*around, *target.outer);
    } else if (auto found = usualSizes_.find(symbol); !target.outer && found != usualSizes_.end()) {
      value = found->second;
    }
    if (!value) return std::nullopt;
    values.emplace(symbol, *value);
  }
  return dim.substitute(values).tryConstant();
}

bool Importer::usual(const Value* condition, const Target& target) const {
  return usualDim(truthOf(condition).value(), target).value_or(1) != 0;
}

std::vector<Item> Importer::importBranch(const OnnxCall& call, const Value* condition, bool holds,
                                         Scope& outer, const Body& caller) {
  const char* branch = holds ? "then_branch" : "else_branch";
  if (!decidedBy(outer.target->graph->guards, condition))
    outer.target->graph->guards.push_back(
        guardOf(condition, holds,
                fmt::format("shapes that take the {} of {}, which the engine was built with",
                            branch, call.name)));
  return inlineGraph(graphOf(call, branch), {}, call.name, outer, caller);
}

std::vector<Item> Importer::importIf(const OnnxCall& call, Scope& outer, const Body& caller) {
  if (call.inputs.size() != 1 || !call.inputs[0])
    invalid(fmt::format("{} inputs", call.inputs.size()), "one");
  Value* given = requireTensor(call.inputs[0], "the condition");
  if (given->constant && given->constant->count() == 1) {
    const bool holds = given->constant->view().loadBool(0);
    return inlineGraph(graphOf(call, holds ? "then_branch" : "else_branch"), {}, call.name, outer,
                       caller);
  }

  std::optional<bool> chosen = decidedBy(outer.target->graph->guards, given);
  if (!chosen) chosen = choices_.of(call.name);
  if (chosen) return importBranch(call, given, *chosen, outer, caller);
  // One of the two, since they do not fit each other.
  auto choose = [&](std::optional<bool> viable, std::string has, std::string needs) {
    if (!truthOf(given)) refuse(std::move(has), std::move(needs));
    const bool holds = viable ? *viable : usual(given, *outer.target);
    if (!viable) choices_.make(call.name, holds);
    return importBranch(call, given, holds, outer, caller);
  };

  OpenBody bodies[] = {openBody(outer), openBody(outer)};
  std::vector<Item> items[2];
  for (size_t i = 0; i < 2; ++i) {
    bodies[i].scope.target = bodies[i].target.get();
    const OnnxGraph& graph = graphOf(call, i == 0 ? "then_branch" : "else_branch");
    try {
      items[i] = importBody(graph, bodies[i].scope, call.name, caller);
    } catch (const Error& error) {
      if (error.code() != ErrorCode::InvalidModel) throw;
      // It may be one that a run never takes.
      return choose(
          i == 1, fmt::format("a branch that does not fit the shapes known here: {}", error.has()),
          "branches that both do");
    }
  }
  if (items[0].size() != items[1].size())
    invalid(fmt::format("branches of {} and {} outputs", items[0].size(), items[1].size()),
            "as many of each");
  std::vector<Item> forms;
  std::vector<Value*> results[2];
  for (size_t i = 0; i < items[0].size(); ++i) {
    forms.push_back(commonForm(items[0][i], items[1][i]));
    for (size_t branch = 0; branch < 2; ++branch) {
      const Item item = inForm(forms[i], items[branch][i], *bodies[branch].target, call.name);
      if (branch == 0) forms[i] = item;
      for (Value* value : valuesOf(item)) results[branch].push_back(value);
    }
  }
  FoundTypes found;
  for (size_t i = 0; i < results[0].size(); ++i) {
    const TensorType &a = results[0][i]->type, &b = results[1][i]->type;
    if (a.dtype != b.dtype || a.shape.rank() != b.shape.rank())
      return choose(std::nullopt,
                    fmt::format("branches that give {} and {}", a.toString(), b.toString()),
                    "the same type and rank, or dims that decide between them");
    Shape shape = a.shape;
    for (size_t axis = 0; axis < shape.rank(); ++axis)
      if (!(shape[axis] == b.shape[axis])) shape[axis] = Dim::symbol("any");
    found.add(a.dtype, shape);
  }

  Target& target = *outer.target;
  std::vector<Value*> inputs{scalarOf(target, call.name, given)};
  for (const OpenBody& body : bodies)
    for (Value* value : body.target->captured())
      if (std::find(inputs.begin() + 1, inputs.end(), value) == inputs.end())
        inputs.push_back(value);
  for (size_t i = 0; i < 2; ++i) {
    std::vector<Value*> taken;
    for (size_t j = 1; j < inputs.size(); ++j)
      taken.push_back(bodies[i].target->capture(inputs[j]));
    bodies[i].target->graph->inputs = std::move(taken);
    finish(*bodies[i].target->graph, results[i]);
  }
  Node* node =
      addControl(target, call.name, Operator::of(ControlIf{found.types, found.ranks, found.dims}),
                 Control::If, std::move(inputs), results[0].size());
  for (const OpenBody& body : bodies) node->bodies.push_back(body.target->graph);
  auto next = node->outputs.begin();
  for (Item& form : forms) form = rebuilt(form, [&](Value*) { return *next++; });
  return forms;
}

bool Importer::tryLoopBody(const OnnxCall& call, Scope& outer, std::vector<Item>& carried,
                           std::vector<std::vector<bool>>& changes, const LoopBody& body,
                           OpenBody& open, std::vector<Value*>& results) {
  open = openBody(outer);
  open.scope.target = open.target.get();
  Target& inside = *open.target;
  Graph& graph = *inside.graph;
  Value* iteration = graph.addInput("iteration", {DType::I64, {}});
  Value* goesOn = graph.addInput("condition", {DType::Bool, {}});
  std::vector<Value*> before;
  std::vector<Item> taken;
  for (const Item& item : carried)
    taken.push_back(rebuilt(item, [&](Value* value) {
      TensorType type = inside.typeHere(value->type);
      if (changes.size() == before.size()) changes.emplace_back(type.shape.rank());
      for (size_t axis = 0; axis < type.shape.rank(); ++axis)
        if (changes[before.size()][axis])
          type.shape[axis] = Dim::symbol(graph.uniqueName("carried"));
      before.push_back(graph.addInput(value->name, std::move(type)));
      return before.back();
    }));
  std::vector<Item> items = body.import(open, iteration, goesOn, taken);

  results = {requireTensor(items[0], "the condition")};
  bool settled = true;
  for (size_t i = 0; i < carried.size(); ++i) {
    const Item form = commonForm(taken[i], items[1 + i]);
    if (!sameForm(form, taken[i])) {
      carried[i] = inForm(form, carried[i], *outer.target, call.name);
      settled = false;
    } else {
      for (Value* value : valuesOf(inForm(form, items[1 + i], inside, call.name)))
        results.push_back(value);
    }
  }
  if (!settled) {
    changes.clear();
    return false;
  }
  for (size_t i = 0; i < before.size(); ++i) {
    const TensorType &was = before[i]->type, &is = results[1 + i]->type;
    if (was.dtype != is.dtype || was.shape.rank() != is.shape.rank())
      refuse(fmt::format("a loop that carries {} on as {}", was.toString(), is.toString()),
             "the same type and rank in every iteration");
    for (size_t axis = 0; axis < was.shape.rank(); ++axis)
      if (!changes[i][axis] && !(was.shape[axis] == is.shape[axis])) {
        changes[i][axis] = true;
        settled = false;
      }
  }
  for (size_t i = 1 + carried.size(); i < items.size(); ++i)
    results.push_back(requireTensor(items[i], "what a loop stacks"));
  return settled;
}

std::vector<Item> Importer::makeLoop(const OnnxCall& call, Scope& outer, Value* trips,
                                     Value* condition, std::vector<Item> items,
                                     const LoopBody& body) {
  Target& target = *outer.target;
  std::vector<std::vector<bool>> changes;  // dims that differ from iteration to iteration
  OpenBody open;
  std::vector<Value*> results;
  for (int round = 0; !tryLoopBody(call, outer, items, changes, body, open, results); ++round)
    if (round == kMostRounds) refuse("a loop whose dims do not settle", "a simpler body");
  std::vector<Value*> carried;
  for (const Item& item : items)
    for (Value* value : valuesOf(item)) carried.push_back(value);

  results[0] = scalarOf(*open.target, call.name, results[0]);
  FoundTypes found;
  for (size_t i = 1; i < results.size(); ++i) {
    Shape shape = results[i]->type.shape;
    if (i > carried.size()) {
      std::vector<Dim> stacked{Dim::symbol("iterations")};
      // Without a condition every iteration takes place.
      const bool all = trips && trips->constant && !condition && results[0]->constant &&
                       results[0]->constant->view().loadBool(0);
      if (all) stacked[0] = std::max<int64_t>(0, trips->constant->toInts().front());
      stacked.insert(stacked.end(), shape.begin(), shape.end());
      shape = Shape(std::move(stacked));
    }
    found.add(results[i]->type.dtype, shape);
  }
  std::vector<Value*> inputs{scalarOf(target, call.name, trips),
                             scalarOf(target, call.name, condition)};
  inputs.insert(inputs.end(), carried.begin(), carried.end());
  inputs.insert(inputs.end(), open.target->captured().begin(), open.target->captured().end());
  finish(*open.target->graph, results);
  Node* node =
      addControl(target, call.name, Operator::of(ControlLoop{found.types, found.ranks, found.dims}),
                 Control::Loop, std::move(inputs), results.size() - 1);
  node->carried = static_cast<int32_t>(carried.size());
  node->bodies.push_back(open.target->graph);
  auto next = node->outputs.begin();
  for (Item& item : items) item = rebuilt(item, [&](Value*) { return *next++; });
  while (next != node->outputs.end()) items.push_back(Item::of(*next++));
  return items;
}

std::vector<Item> Importer::importLoop(const OnnxCall& call, Scope& outer, const Body& caller) {
  const OnnxGraph& graph = graphOf(call, "body");
  if (call.inputs.size() < 2 || graph.inputs.size() != call.inputs.size() ||
      graph.outputs.size() + 1 < call.inputs.size())
    invalid(fmt::format("{} inputs, of the body {}, and {} outputs of that", call.inputs.size(),
                        graph.inputs.size(), graph.outputs.size()),
            "the iteration, the condition and the carried tensors in each");
  Value* trips = requireTensor(call.inputs[0], "the number of iterations");
  Value* condition = requireTensor(call.inputs[1], "the condition");
  if (condition && condition->constant && condition->constant->view().loadBool(0))
    condition = nullptr;
  std::vector<Item> carried(call.inputs.begin() + 2, call.inputs.end());
  if (std::any_of(carried.begin(), carried.end(), [](const Item& item) { return !item; }))
    invalid("a carried tensor left out", "a first value for each");
  LoopBody body;
  body.import = [&](OpenBody& open, Value* iteration, Value* goesOn,
                    const std::vector<Item>& taken) {
    auto shaped = [&](Value* value, const OnnxValueInfo& info) {
      if (info.type.shape && info.type.shape->size() == 1)
        value = emitOne(*open.target, call.name, Operator::of(Reshape{Shape{1}}), {value});
      return Item::of(value);
    };
    open.scope.define(graph.inputs[0].name, {.item = shaped(iteration, graph.inputs[0])});
    open.scope.define(graph.inputs[1].name, {.item = shaped(goesOn, graph.inputs[1])});
    for (size_t i = 0; i < taken.size(); ++i)
      open.scope.define(graph.inputs[2 + i].name, {.item = taken[i]});
    return importBody(graph, open.scope, call.name, caller);
  };
  return makeLoop(call, outer, trips, condition, std::move(carried), body);
}

}  // namespace carnot::onnx
