#include "frontend/onnx/import.h"

#include <algorithm>
#include <unordered_map>
#include <unordered_set>

#include "frontend/onnx/interface.h"
#include "frontend/onnx/node_view.h"
#include "frontend/onnx/proto.h"
#include "frontend/onnx/unsupported.h"
#include "ops/onnx_mappings.h"

namespace carnot {

namespace {

constexpr int64_t kNewestIrVersion = 14;
constexpr int64_t kNewestOpset = 28;
constexpr int kMostNested = 64;          // calls and branches within one another
constexpr size_t kMostNodes = 1u << 18;  // after inlining

[[noreturn]] void invalid(std::string has, std::string needs = {}, std::string remedy = {}) {
  throw Error(ErrorCode::InvalidModel, std::move(has), std::move(needs), std::move(remedy));
}

std::string_view canonicalDomain(std::string_view domain) {
  return domain == "ai.onnx" ? std::string_view{} : domain;
}

std::string nodeName(const OnnxNodeProto& node, size_t index) {
  return node.name.empty() ? fmt::format("{}_{}", node.type, index) : std::string(node.name);
}

std::string nodeFrame(const OnnxNodeProto& node, std::string_view name) {
  return fmt::format("node {} ({})", name, onnxTypeName(node));
}

using Opsets = std::unordered_map<std::string_view, int>;

Opsets opsetsOf(const std::vector<OnnxOpset>& list, const Opsets& fallback = {}) {
  Opsets opsets = fallback;
  for (const OnnxOpset& opset : list) {
    std::string_view domain = canonicalDomain(opset.domain);
    if (opset.version < 1) invalid(fmt::format("opset {} of \"{}\"", opset.version, domain));
    if (domain.empty() && opset.version > kNewestOpset)
      throw Error(ErrorCode::Unsupported, fmt::format("opset {}", opset.version),
                  fmt::format("opset {} or older", kNewestOpset), "export for an older opset");
    opsets[domain] = static_cast<int>(std::min<int64_t>(opset.version, 1 << 20));
  }
  return opsets;
}

// Names of tensors in one graph, or in one function's body, and what they stand for.
struct Scope {
  struct Binding {
    Value* value = nullptr;
    // Not yet loaded:
    const OnnxTensor* tensor = nullptr;
    const OnnxSparseTensor* sparse = nullptr;
  };
  Scope* outer = nullptr;
  std::unordered_map<std::string_view, Binding> names;
  std::unordered_set<std::string_view> used;  // by any node, within or below, or as an output

  Binding* find(std::string_view name) {
    for (Scope* scope = this; scope; scope = scope->outer)
      if (auto found = scope->names.find(name); found != scope->names.end()) return &found->second;
    return nullptr;
  }
  void define(std::string_view name, Binding binding) {
    if (!names.emplace(name, binding).second)
      invalid(fmt::format("tensor {} is defined twice", name), "each tensor once");
  }
};

void collectUsed(const std::vector<OnnxNodeProto>& nodes,
                 std::unordered_set<std::string_view>& used) {
  for (const OnnxNodeProto& node : nodes) {
    used.insert(node.inputs.begin(), node.inputs.end());
    for (const OnnxAttribute& attribute : node.attributes)
      for (const OnnxGraph& graph : attribute.graphs) {
        collectUsed(graph.nodes, used);
        for (const OnnxValueInfo& output : graph.outputs) used.insert(output.name);
      }
  }
}

// What the nodes of a body share beside the scope.
struct Body {
  Opsets opsets;
  std::vector<NamedAttribute> attributes;  // of the function call that the body belongs to
  std::string prefix;                      // of node names
  int depth = 0;
};

class Importer {
 public:
  Importer(const OnnxModel& model, const ImportOptions& options)
      : model_(model), options_(options), maker_(graph_), tensors_(model) {
    for (const OnnxFunction& function : model.functions)
      functions_.emplace(functionKey(function.domain, function.name, function.overload), &function);
  }

  std::vector<UnsupportedNode> unsupported() const {
    checkVersions();
    return unsupportedNodes(model_.graph.nodes, lookup(modelOpsets()));
  }

  Graph run() {
    checkVersions();
    Body body{.opsets = modelOpsets(), .attributes = {}, .prefix = {}};
    requireSupported(model_.graph.nodes, lookup(body.opsets));
    Scope scope;
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

 private:
  static std::string functionKey(std::string_view domain, std::string_view name,
                                 std::string_view overload) {
    return fmt::format("{}\n{}\n{}", canonicalDomain(domain), name, overload);
  }

  Opsets modelOpsets() const {
    Opsets opsets = opsetsOf(model_.opsets);
    // Before IR version 3 models did not say.
    if (model_.irVersion < 3) opsets.emplace("", 1);
    return opsets;
  }

  const OnnxFunction* functionOf(const OnnxNodeProto& node) const {
    if (functions_.empty()) return nullptr;
    auto found = functions_.find(functionKey(node.domain, node.type, node.overload));
    return found == functions_.end() ? nullptr : found->second;
  }

  OnnxLookup lookup(const Opsets& opsets) const {
    return {[opsets](std::string_view domain) { return opsetOf(opsets, domain); },
            [this](const OnnxNodeProto& node) { return functionOf(node); },
            [this, opsets](const OnnxFunction& function) {
              return lookup(opsetsOf(function.opsets, opsets));
            }};
  }

  static int opsetOf(const Opsets& opsets, std::string_view domain) {
    auto found = opsets.find(canonicalDomain(domain));
    if (found != opsets.end()) return found->second;
    if (canonicalDomain(domain).empty())
      invalid("no opset_import for ai.onnx", "the opset that the model was written for",
              "the file is cut off or damaged: export or download it again");
    // Files leave out the version of domains that have but one.
    return 1;
  }

  void checkVersions() const {
    if (model_.irVersion < 1)
      invalid(fmt::format("IR version {}", model_.irVersion), "1 or newer",
              "the file is no ONNX model, or damaged");
    if (model_.irVersion > kNewestIrVersion)
      throw Error(ErrorCode::Unsupported, fmt::format("IR version {}", model_.irVersion),
                  fmt::format("{} or older", kNewestIrVersion), "export for an older version");
  }

  // --- the interface

  void defineInitializers(const OnnxGraph& graph, Scope& scope) {
    for (const OnnxTensor& tensor : graph.initializers)
      scope.define(tensor.name, {.tensor = &tensor});
    for (const OnnxSparseTensor& tensor : graph.sparseInitializers)
      scope.define(tensor.values.name, {.sparse = &tensor});
  }

  void defineInputs(Scope& scope) {
    std::vector<const OnnxValueInfo*> inputs;
    for (const OnnxValueInfo& input : model_.graph.inputs)
      if (!scope.names.contains(input.name)) inputs.push_back(&input);
    std::vector<TensorType> types = inputTypes(inputs, options_);
    std::vector<std::string> symbols;
    for (size_t i = 0; i < inputs.size(); ++i) {
      for (const Dim& dim : types[i].shape) dim.collectSymbols(symbols);
      Value* value = graph_.addInput(std::string(inputs[i]->name), std::move(types[i]));
      scope.define(inputs[i]->name, {.value = value});
    }
    // Symbols made later must differ.
    for (const std::string& symbol : symbols) graph_.uniqueName(symbol);
  }

  // The model's own tensors are found in the graph under their names; what is made beside them, and
  // what functions and branches hold, gets others.
  void reserveTensorNames() {
    for (const OnnxNodeProto& node : model_.graph.nodes)
      for (std::string_view output : node.outputs)
        if (!output.empty()) graph_.uniqueName(output);
  }

  void defineOutputs(Scope& scope) {
    if (model_.graph.outputs.empty()) invalid("a graph without outputs", "one or more");
    for (size_t i = 0; i < model_.graph.outputs.size(); ++i) {
      const OnnxValueInfo& output = model_.graph.outputs[i];
      inFrame([&] { return fmt::format("output {}", output.name); },
              [&] {
                Value* value = resolve(output.name, scope);
                if (!value) invalid("an output without a name", "a name");
                checkOutputType(output, value->type, options_.inputShapes.empty());
                graph_.outputs.push_back(value);
                graph_.outputNames.emplace_back(output.name);
              });
    }
  }

  // --- nodes

  // The tensor of that name, loaded when it is an initializer; null for the empty name.
  Value* resolve(std::string_view name, Scope& scope) {
    if (name.empty()) return nullptr;
    Scope::Binding* binding = scope.find(name);
    if (!binding)
      invalid(fmt::format("tensor {} is used before any node makes it", name),
              "nodes in topological order, and every tensor made by a node, input or initializer");
    bool omitted = !binding->value && !binding->tensor && !binding->sparse;
    if (!binding->value && !omitted) {
      Tensor tensor =
          binding->tensor ? tensors_.load(*binding->tensor) : tensors_.load(*binding->sparse);
      binding->value = maker_.constant(std::string(name), std::move(tensor));
    }
    return binding->value;
  }

  void importNodes(const std::vector<OnnxNodeProto>& nodes, Scope& scope, const Body& body) {
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

  void importNode(const OnnxNodeProto& node, const std::string& name, Scope& scope,
                  const Body& body) {
    std::vector<Value*> inputs;
    for (std::string_view input : node.inputs) inputs.push_back(resolve(input, scope));
    std::vector<NamedAttribute> attributes = resolveAttributes(node, body);
    std::vector<Value*> results;
    if (const OnnxFunction* function = functionOf(node)) {
      results = call(*function, inputs, std::move(attributes), name, body);
    } else if (isImportedControlFlow(node)) {
      results = branch(inputs, attributes, name, scope, body);
    } else {
      results = importByMapping(node, name, std::move(inputs), std::move(attributes), scope, body);
    }
    for (size_t i = 0; i < node.outputs.size(); ++i) {
      std::string_view output = node.outputs[i];
      if (output.empty()) continue;
      if (i < results.size() && results[i]) {
        scope.define(output, {.value = results[i]});
        if (body.depth == 0 && results[i]->producer && named_.insert(results[i]).second)
          results[i]->name = std::string(output);
      } else if (scope.used.contains(output)) {
        throw Error(ErrorCode::Unsupported, fmt::format("output {} ({}) is used", i, output),
                    "a model that does without it");
      }
    }
  }

  std::vector<Value*> importByMapping(const OnnxNodeProto& node, const std::string& name,
                                      std::vector<Value*> inputs,
                                      std::vector<NamedAttribute> attributes, Scope& scope,
                                      const Body& body) {
    int opset = opsetOf(body.opsets, node.domain);
    const OnnxMapping* mapping = findOnnxMapping(node.domain, node.type, opset);
    ensure(mapping != nullptr, "types were looked up before");
    std::vector<bool> used;
    for (std::string_view output : node.outputs)
      used.push_back(!output.empty() && scope.used.contains(output));
    NodeView view(maker_, tensors_,
                  {node, name, opset, std::move(attributes), std::move(inputs), std::move(used)},
                  [&](const OnnxGraph& graph, const std::vector<Value*>& given) {
                    return inlineGraph(graph, given, name, scope, body);
                  });
    mapping->import(view);
    return view.results();
  }

  static std::vector<NamedAttribute> resolveAttributes(const OnnxNodeProto& node,
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

  std::vector<Value*> call(const OnnxFunction& function, const std::vector<Value*>& inputs,
                           std::vector<NamedAttribute> attributes, const std::string& name,
                           const Body& caller) {
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
    for (size_t i = 0; i < function.inputs.size(); ++i)
      scope.define(function.inputs[i], {.value = i < inputs.size() ? inputs[i] : nullptr});
    collectUsed(function.nodes, scope.used);
    scope.used.insert(function.outputs.begin(), function.outputs.end());
    Body body{opsetsOf(function.opsets, caller.opsets), std::move(attributes), name + "/",
              caller.depth + 1};
    importNodes(function.nodes, scope, body);
    std::vector<Value*> results;
    for (std::string_view output : function.outputs) results.push_back(resolve(output, scope));
    return results;
  }

  // The branch that an If with a constant condition takes, in place of the If.
  std::vector<Value*> branch(const std::vector<Value*>& inputs,
                             const std::vector<NamedAttribute>& attributes, const std::string& name,
                             Scope& outer, const Body& caller) {
    if (inputs.size() != 1 || !inputs[0]) invalid(fmt::format("{} inputs", inputs.size()), "one");
    const Value& condition = *inputs[0];
    if (!condition.constant || condition.constant->count() != 1)
      throw Error(ErrorCode::Unsupported, "a condition that is computed at run time",
                  "a constant condition", "fix the input shapes that it depends on");
    bool holds = condition.constant->view().loadBool(0);
    std::string_view wanted = holds ? "then_branch" : "else_branch";
    const OnnxGraph* graph = nullptr;
    for (const NamedAttribute& attribute : attributes)
      if (attribute.name == wanted && attribute.value->graphs.size() == 1)
        graph = &attribute.value->graphs[0];
    if (!graph) invalid(fmt::format("no attribute {}", wanted), "that graph");
    return inlineGraph(*graph, {}, name, outer, caller);
  }

  std::vector<Value*> inlineGraph(const OnnxGraph& graph, const std::vector<Value*>& inputs,
                                  const std::string& name, Scope& outer, const Body& caller) {
    if (inputs.size() != graph.inputs.size())
      invalid(fmt::format("a graph of {} inputs", graph.inputs.size()),
              fmt::format("{}", inputs.size()));
    requireSupported(graph.nodes, lookup(caller.opsets));
    Scope scope;
    scope.outer = &outer;
    for (size_t i = 0; i < inputs.size(); ++i)
      scope.define(graph.inputs[i].name, {.value = inputs[i]});
    defineInitializers(graph, scope);
    collectUsed(graph.nodes, scope.used);
    for (const OnnxValueInfo& output : graph.outputs) scope.used.insert(output.name);
    Body body{caller.opsets, caller.attributes, name + "/", caller.depth + 1};
    importNodes(graph.nodes, scope, body);
    std::vector<Value*> results;
    for (const OnnxValueInfo& output : graph.outputs) {
      results.push_back(resolve(output.name, scope));
      if (!results.back()) invalid("an output without a name", "a name");
    }
    return results;
  }

  const OnnxModel& model_;
  const ImportOptions& options_;
  Graph graph_;
  GraphMaker maker_;
  OnnxTensorLoader tensors_;
  std::unordered_map<std::string, const OnnxFunction*> functions_;
  std::unordered_set<const Value*> named_;
  size_t nodeCount_ = 0;
};

}  // namespace

Graph importOnnx(const OnnxModel& model, const ImportOptions& options) {
  return inFrame([&] { return model.source; }, [&] { return Importer(model, options).run(); });
}

std::vector<OnnxIssue> checkOnnx(const OnnxModel& model, const ImportOptions& options) {
  std::vector<OnnxIssue> issues;
  try {
    for (UnsupportedNode& node : Importer(model, options).unsupported()) {
      Error error(ErrorCode::Unsupported, fmt::format("operator {}", node.type),
                  "a supported one" + (node.hint.empty() ? "" : "; " + node.hint));
      issues.push_back({std::move(error), node.index, std::move(node.name), std::move(node.type)});
    }
    if (issues.empty()) Importer(model, options).run();
  } catch (Error& error) {
    OnnxIssue issue{error, -1, {}, {}};
    const std::vector<OnnxNodeProto>& nodes = model.graph.nodes;
    for (size_t i = 0; i < nodes.size() && issue.nodeIndex < 0; ++i) {
      std::string name = nodeName(nodes[i], i);
      if (std::ranges::find(error.context(), nodeFrame(nodes[i], name)) == error.context().end())
        continue;
      issue.nodeIndex = static_cast<int>(i);
      issue.node = std::move(name);
      issue.operatorType = onnxTypeName(nodes[i]);
    }
    issues.push_back(std::move(issue));
  }
  return issues;
}

}  // namespace carnot
