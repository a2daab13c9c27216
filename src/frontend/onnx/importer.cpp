#include "frontend/onnx/importer.h"

#include <algorithm>

#include "frontend/onnx/defer.h"
#include "frontend/onnx/interface.h"
#include "frontend/onnx/proto.h"
#include "ops/onnx_mappings.h"

namespace carnot::onnx {

Importer::Importer(const OnnxModel& model, const ImportOptions& options, BranchChoices& choices)
    : model_(model), options_(options), choices_(choices), graph_(*main_.graph), tensors_(model) {
  for (const OnnxFunction& function : model.functions)
    functions_.emplace(functionKey(function.domain, function.name, function.overload), &function);
}

std::vector<UnsupportedNode> Importer::unsupported() const {
  checkVersions();
  return unsupportedNodes(model_.graph.nodes, lookup(modelOpsets()));
}

Graph Importer::run() {
  checkVersions();
  Body body{.opsets = modelOpsets(), .attributes = {}, .prefix = {}};
  requireSupported(model_.graph.nodes, lookup(body.opsets));
  Scope scope;
  scope.target = &main_;
  graph_.name = model_.graph.name;
  defineInitializers(model_.graph, scope);
  defineInputs(scope);
  reserveTensorNames();
  collectUsed(model_.graph.nodes, scope.used);
  for (const OnnxValueInfo& output : model_.graph.outputs) scope.used.insert(output.name);
  importNodes(model_.graph.nodes, scope, body);
  defineOutputs(scope);
  graph_.eraseUnusedValues();
  return std::move(graph_);
}

std::string Importer::functionKey(std::string_view domain, std::string_view name,
                                  std::string_view overload) {
  return fmt::format("{}\n{}\n{}", canonicalDomain(domain), name, overload);
}

Opsets Importer::modelOpsets() const {
  Opsets opsets = opsetsOf(model_.opsets);
  // Before IR version 3 models did not say.
  if (model_.irVersion < 3) opsets.emplace("", 1);
  return opsets;
}

const OnnxFunction* Importer::functionOf(const OnnxNodeProto& node) const {
  if (functions_.empty()) return nullptr;
  auto found = functions_.find(functionKey(node.domain, node.type, node.overload));
  return found == functions_.end() ? nullptr : found->second;
}

OnnxLookup Importer::lookup(const Opsets& opsets) const {
  return {[opsets](std::string_view domain) { return opsetOf(opsets, domain); },
          [this](const OnnxNodeProto& node) { return functionOf(node); },
          [this, opsets](const OnnxFunction& function) {
            return lookup(opsetsOf(function.opsets, opsets));
          }};
}

int Importer::opsetOf(const Opsets& opsets, std::string_view domain) {
  auto found = opsets.find(canonicalDomain(domain));
  if (found != opsets.end()) return found->second;
  if (canonicalDomain(domain).empty())
    invalid("no opset_import for ai.onnx", "the opset that the model was written for",
            "the file is cut off or damaged: export or download it again");
  // Files leave out the version of domains that have but one.
  return 1;
}

void Importer::checkVersions() const {
  if (model_.irVersion < 1)
    invalid(fmt::format("IR version {}", model_.irVersion), "1 or newer",
            "the file is no ONNX model, or damaged");
  if (model_.irVersion > kNewestIrVersion)
    throw Error(ErrorCode::Unsupported, fmt::format("IR version {}", model_.irVersion),
                fmt::format("{} or older", kNewestIrVersion), "export for an older version");
}

void Importer::defineInitializers(const OnnxGraph& graph, Scope& scope) {
  for (const OnnxTensor& tensor : graph.initializers)
    scope.define(tensor.name, {.tensor = &tensor});
  for (const OnnxSparseTensor& tensor : graph.sparseInitializers)
    scope.define(tensor.values.name, {.sparse = &tensor});
}

void Importer::defineInputs(Scope& scope) {
  std::vector<const OnnxValueInfo*> inputs;
  for (const OnnxValueInfo& input : model_.graph.inputs)
    if (!scope.names.contains(input.name)) inputs.push_back(&input);
  std::vector<InputForm> forms = inputForms(inputs, options_);
  std::vector<std::string> symbols;
  for (size_t i = 0; i < inputs.size(); ++i) {
    std::vector<Value*> values;
    for (NamedType& part : forms[i].parts) {
      for (const Dim& dim : part.type.shape) dim.collectSymbols(symbols);
      if (auto usual = options_.usualShapes.find(part.name); usual != options_.usualShapes.end())
        for (size_t axis = 0; axis < std::min(usual->second.size(), part.type.shape.rank()); ++axis)
          if (auto symbol = part.type.shape[axis].asSymbol())
            usualSizes_.emplace(*symbol, usual->second[axis]);
      values.push_back(graph_.addInput(part.name, std::move(part.type)));
    }
    scope.define(inputs[i]->name, {.item = forms[i].make(values)});
  }
  // Symbols made later must differ.
  for (const std::string& symbol : symbols) graph_.uniqueName(symbol);
}

void Importer::reserveTensorNames() {
  for (const OnnxNodeProto& node : model_.graph.nodes)
    for (std::string_view output : node.outputs)
      if (!output.empty()) graph_.uniqueName(output);
}

void Importer::defineOutputs(Scope& scope) {
  if (model_.graph.outputs.empty()) invalid("a graph without outputs", "one or more");
  for (const OnnxValueInfo& output : model_.graph.outputs)
    inFrame([&] { return fmt::format("output {}", output.name); },
            [&] {
              const Item item = resolve(output.name, scope);
              if (!item) invalid("an output without a name", "a name");
              if (item.isTensor() && output.type.kind != OnnxType::Kind::Optional)
                checkOutputType(output, item.tensor->type, options_.inputShapes.empty());
              for (auto& [name, value] : outputParts(output, item, main_)) {
                graph_.outputs.push_back(value);
                graph_.outputNames.push_back(std::move(name));
              }
            });
}

Item Importer::resolve(std::string_view name, Scope& scope) {
  if (name.empty()) return {};
  auto [binding, where] = scope.find(name);
  if (!binding)
    invalid(fmt::format("tensor {} is used before any node makes it", name),
            "nodes in topological order, and every tensor made by a node, input or initializer");
  if (!binding->item && (binding->tensor || binding->sparse)) {
    Tensor tensor =
        binding->tensor ? tensors_.load(*binding->tensor) : tensors_.load(*binding->sparse);
    binding->item = Item::of(where->target->maker.constant(std::string(name), std::move(tensor)));
  }
  return rebuilt(binding->item,
                 [&](Value* value) { return bring(value, where->target, scope.target); });
}

Value* Importer::bring(Value* value, Target* from, Target* to) {
  if (!value || from == to) return value;
  return to->capture(bring(value, from, to->outer));
}

void Importer::importNodes(const std::vector<OnnxNodeProto>& nodes, Scope& scope,
                           const Body& body) {
  if (body.depth > kMostNested)
    throw Error(ErrorCode::Unsupported,
                fmt::format("functions and branches nested more than {} deep", kMostNested),
                "a flatter model, without recursion");
  for (size_t i = 0; i < nodes.size(); ++i) {
    const OnnxNodeProto& node = nodes[i];
    if (++nodeCount_ > kMostNodes)
      throw Error(ErrorCode::Unsupported,
                  fmt::format("more than {} nodes once functions are inlined", kMostNodes),
                  "a smaller model");
    std::string name = body.prefix + nodeName(node, i);
    std::string frame = nodeFrame(node, name);
    try {
      importNode(node, name, scope, body);
    } catch (Error& error) {
      error.within(frame);
      throw;
    }
  }
}

void Importer::importNode(const OnnxNodeProto& node, const std::string& name, Scope& scope,
                          const Body& body) {
  std::vector<Item> inputs;
  for (std::string_view input : node.inputs) inputs.push_back(resolve(input, scope));
  std::vector<NamedAttribute> attributes = resolveAttributes(node, body);
  std::vector<Item> results;
  const bool isIdentity = node.type == "Identity" && canonicalDomain(node.domain).empty();
  if (const OnnxFunction* function = functionOf(node)) {
    results = call(*function, inputs, std::move(attributes), name, scope, body);
  } else if (isImportedItself(node)) {
    results = importItself({node, name, inputs, attributes}, scope, body);
  } else if (isIdentity && inputs.size() == 1 && !inputs[0].isTensor()) {
    results = inputs;
  } else {
    std::vector<Value*> tensors;
    for (size_t i = 0; i < inputs.size(); ++i)
      tensors.push_back(requireTensor(inputs[i], fmt::format("input {}", i)));
    for (Value* value :
         importByMapping(node, name, std::move(tensors), std::move(attributes), scope, body))
      results.push_back(Item::of(value));
  }
  for (size_t i = 0; i < node.outputs.size(); ++i) {
    std::string_view output = node.outputs[i];
    if (output.empty()) continue;
    if (i < results.size() && results[i]) {
      scope.define(output, {.item = results[i]});
      Value* value = results[i].tensor;
      if (body.depth == 0 && value && value->producer && named_.insert(value).second)
        value->name = std::string(output);
    } else if (scope.used.contains(output)) {
      throw Error(ErrorCode::Unsupported, fmt::format("output {} ({}) is used", i, output),
                  "a model that does without it");
    }
  }
}

std::vector<Item> Importer::importItself(const OnnxCall& call, Scope& scope, const Body& body) {
  if (call.node.type == "If") return importIf(call, scope, body);
  if (call.node.type == "Loop") return importLoop(call, scope, body);
  if (call.node.type == "Scan") return importScan(call, scope, body);
  if (call.node.type == "SequenceMap") return importSequenceMap(call, scope, body);
  return importSequenceNode(call, *scope.target);
}

std::vector<Value*> Importer::importByMapping(const OnnxNodeProto& node, const std::string& name,
                                              std::vector<Value*> inputs,
                                              std::vector<NamedAttribute> attributes, Scope& scope,
                                              const Body& body) {
  int opset = opsetOf(body.opsets, node.domain);
  const OnnxMapping* mapping = findOnnxMapping(node.domain, node.type, opset);
  ensure(mapping != nullptr, "types were looked up before");
  std::vector<bool> used;
  for (std::string_view output : node.outputs)
    used.push_back(!output.empty() && scope.used.contains(output));
  const NodeView::Given given{node,           name, opset, std::move(attributes), std::move(inputs),
                              std::move(used)};
  GraphMaker& maker = scope.target->maker;
  const GraphMaker::Mark mark = maker.mark();
  try {
    NodeView view(maker, tensors_, given,
                  [&](const OnnxGraph& graph, const std::vector<Value*>& taken) {
                    std::vector<Item> items;
                    for (Value* value : taken) items.push_back(Item::of(value));
                    std::vector<Value*> made;
                    for (const Item& item : inlineGraph(graph, items, name, scope, body))
                      made.push_back(requireTensor(item, "an output of the graph"));
                    return made;
                  });
    mapping->import(view);
    return view.results();
  } catch (const Error& error) {
    if (error.code() == ErrorCode::InvalidModel && deferred_)
      // It may be the ranks that trial imports gave.
      throw Error(ErrorCode::Unsupported, error.has(), error.needs(),
                  "give the operands of nodes before as constants, so that ranks are known");
    if (error.code() != ErrorCode::Unsupported) throw;
    maker.rollBack(mark);
    deferred_ = true;
    if (auto results = deferNode(maker, tensors_, given, *mapping)) return *results;
    throw;
  }
}

std::vector<NamedAttribute> Importer::resolveAttributes(const OnnxNodeProto& node,
                                                        const Body& body) {
  std::vector<NamedAttribute> attributes;
  for (const OnnxAttribute& attribute : node.attributes) {
    if (attribute.referred.empty()) {
      attributes.push_back({attribute.name, &attribute});
      continue;
    }
    for (const NamedAttribute& outer : body.attributes)
      if (outer.name == attribute.referred) attributes.push_back({attribute.name, outer.value});
  }
  return attributes;
}

std::vector<Item> Importer::call(const OnnxFunction& function, const std::vector<Item>& inputs,
                                 std::vector<NamedAttribute> attributes, const std::string& name,
                                 const Scope& around, const Body& caller) {
  if (inputs.size() > function.inputs.size())
    invalid(fmt::format("{} inputs", inputs.size()),
            fmt::format("at most the function's {}", function.inputs.size()));
  for (const OnnxAttribute& fallback : function.defaults) {
    bool given = std::any_of(attributes.begin(), attributes.end(), [&](const auto& attribute) {
      return attribute.name == fallback.name;
    });
    if (!given) attributes.push_back({fallback.name, &fallback});
  }
  Scope scope;
  scope.target = around.target;
  for (size_t i = 0; i < function.inputs.size(); ++i)
    scope.define(function.inputs[i], {.item = i < inputs.size() ? inputs[i] : Item{}});
  collectUsed(function.nodes, scope.used);
  scope.used.insert(function.outputs.begin(), function.outputs.end());
  Body body{opsetsOf(function.opsets, caller.opsets), std::move(attributes), name + "/",
            caller.depth + 1};
  importNodes(function.nodes, scope, body);
  std::vector<Item> results;
  for (std::string_view output : function.outputs) results.push_back(resolve(output, scope));
  return results;
}

std::vector<Item> Importer::inlineGraph(const OnnxGraph& graph, const std::vector<Item>& inputs,
                                        const std::string& name, Scope& outer, const Body& caller) {
  if (inputs.size() != graph.inputs.size())
    invalid(fmt::format("a graph of {} inputs", graph.inputs.size()),
            fmt::format("{}", inputs.size()));
  Scope scope;
  scope.outer = &outer;
  scope.target = outer.target;
  for (size_t i = 0; i < inputs.size(); ++i)
    scope.define(graph.inputs[i].name, {.item = inputs[i]});
  return importBody(graph, scope, name, caller);
}

}  // namespace carnot::onnx
