#include "plan/emit.h"

#include <fmt/format.h>

#include <algorithm>
#include <unordered_map>

#include "base/error.h"
#include "plan/views.h"
#include "plan/weight_table.h"

namespace carnot {

namespace {

// The output and axis of a node where a symbol of its own stands alone; none where nothing tells
// its value.
std::optional<std::pair<size_t, size_t>> findSymbol(const Node& node, const Dim& symbol) {
  for (size_t i = 0; i < node.outputs.size(); ++i) {
    const Shape& shape = node.outputs[i]->type.shape;
    for (size_t axis = 0; axis < shape.rank(); ++axis)
      if (shape[axis] == symbol) return std::pair(i, axis);
  }
  return std::nullopt;
}

}  // namespace

std::vector<EngineSymbol> symbolsOf(const Graph& graph) {
  std::vector<EngineSymbol> symbols;
  std::vector<std::string> used;
  const std::vector<Value*> given = graph.given();
  for (size_t i = 0; i < given.size(); ++i) {
    const Shape& shape = given[i]->type.shape;
    for (size_t axis = 0; axis < shape.rank(); ++axis) {
      shape[axis].collectSymbols(used);
      std::optional<std::string> name = shape[axis].asSymbol();
      if (!name) continue;
      bool known = std::any_of(symbols.begin(), symbols.end(),
                               [&](const EngineSymbol& symbol) { return symbol.name == *name; });
      if (!known) symbols.push_back({*name, static_cast<int32_t>(i), static_cast<int32_t>(axis)});
    }
  }
  for (const std::string& name : used)
    if (std::none_of(symbols.begin(), symbols.end(),
                     [&](const EngineSymbol& symbol) { return symbol.name == name; }))
      throw Error(
          ErrorCode::Unsupported,
          fmt::format("symbol {} is only part of an expression in the inputs' shapes", name),
          "an input dim that is the symbol alone");
  for (const auto& node : graph.nodes())
    for (const Dim& symbol : node->symbols)
      if (findSymbol(*node, symbol)) {
        EngineSymbol found{.name = *symbol.asSymbol()};
        found.input = -1;
        symbols.push_back(std::move(found));
      }
  return symbols;
}

namespace {

class Emitter {
 public:
  Emitter(const Graph& graph, const TacticMap& tactics, const EmitOptions& options,
          WeightTable& weights)
      : graph_(graph),
        tactics_(tactics),
        options_(options),
        weights_(weights),
        views_(planViews(graph)) {}

  EngineData emit() {
    engine_.symbols = symbolsOf(graph_);
    for (const EngineSymbol& symbol : engine_.symbols) symbolNames_.push_back(symbol.name);
    for (const Guard& guard : graph_.guards) emitGuard(guard);
    for (const Value* input : graph_.given()) engine_.inputs.push_back(tensorOf(input));
    for (const auto& node : graph_.nodes()) {
      if (node->control != Control::None)
        emitControl(*node);
      else if (node->region && !views_.elided.contains(node.get()))
        emitStep(*node);
    }
    for (size_t i = 0; i < graph_.outputs.size(); ++i) {
      emitOutput(graph_.outputs[i]);
      if (i < graph_.outputNames.size())
        engine_.tensors[engine_.outputs.back()].name = graph_.outputNames[i];
    }
    return std::move(engine_);
  }

 private:
  DimProgram program(const Dim& dim) const { return DimProgram::compile(dim, symbolNames_); }
  std::vector<DimProgram> programs(const std::vector<Dim>& dims) const {
    std::vector<DimProgram> out;
    for (const Dim& dim : dims) out.push_back(program(dim));
    return out;
  }

  void emitGuard(const Guard& guard) {
    // About tensors that nothing makes any more.
    std::vector<std::string> names;
    guard.a.collectSymbols(names);
    guard.b.collectSymbols(names);
    for (const std::string& name : names)
      if (graph_.symbolBounds.contains(name) &&
          std::find(symbolNames_.begin(), symbolNames_.end(), name) == symbolNames_.end())
        return;
    engine_.guards.push_back({program(guard.a), program(guard.b), guard.what});
  }

  // As what a step names for costs alone: a constant stays without its contents.
  int32_t declaredTensorOf(const Value* value) {
    if (tensors_.contains(value) || !value->isConstant()) return tensorOf(value);
    EngineTensor tensor;
    tensor.name = value->name;
    tensor.kind = EngineTensor::Kind::Packed;
    tensor.dtype = value->type.dtype;
    tensor.dims = programs(value->type.shape.dims());
    int32_t index = static_cast<int32_t>(engine_.tensors.size());
    engine_.tensors.push_back(std::move(tensor));
    return tensors_[value] = index;
  }

  int32_t tensorOf(const Value* value) {
    auto [found, fresh] = tensors_.try_emplace(value, -1);
    if (!fresh) {
      EngineTensor& known = engine_.tensors[found->second];
      if (known.kind == EngineTensor::Kind::Packed) {
        known.kind = EngineTensor::Kind::Constant;
        known.layout = value->layout;
        known.weight = weights_.indexOf(*value->constant);
      }
      return found->second;
    }
    EngineTensor tensor;
    tensor.name = value->name;
    tensor.dtype = value->type.dtype;
    tensor.layout = value->layout;
    tensor.dims = programs(value->type.shape.dims());
    const Value* root = nullptr;
    if (value->isState) {
      root = stateOf(value);
      if (root == value)
        tensor.kind = EngineTensor::Kind::State, root = nullptr;
      else
        tensor.viewOffset = program(Dim(0));
    } else if (value->isConstant()) {
      tensor.kind = EngineTensor::Kind::Constant;
      tensor.weight = weights_.indexOf(*value->constant);
    } else if (std::find(graph_.inputs.begin(), graph_.inputs.end(), value) !=
               graph_.inputs.end()) {
      tensor.kind = EngineTensor::Kind::Input;
    } else if (value->contents && value->producer && value->producer->inputs.empty()) {
      tensor.kind = EngineTensor::Kind::Shape;
      tensor.contents = programs(*value->contents);
    } else if (value->producer &&
               (!value->producer->symbols.empty() || value->producer->control != Control::None)) {
      tensor.kind = EngineTensor::Kind::Found;
    } else if (views_.outputs.contains(value)) {
      tensor.kind = EngineTensor::Kind::Output;
    } else if (auto view = views_.views.find(value); view != views_.views.end()) {
      root = view->second.root;
      tensor.viewOffset = program(view->second.offset * Dim(dtypeBits(value->type.dtype) / 8));
    }
    if (root) tensor.viewOf = tensorOf(root);
    int32_t index = static_cast<int32_t>(engine_.tensors.size());
    engine_.tensors.push_back(std::move(tensor));
    return tensors_[value] = index;
  }

  // What the application gives and updates made into this tensor.
  static const Value* stateOf(const Value* value) {
    while (const Node* updater = value->producer)
      for (const Update& update : updater->updates())
        if (updater->outputs[update.output] == value) {
          value = updater->inputs[update.input];
          break;
        }
    return value;
  }

  // The node's outputs, and what they tell of symbols.
  void emitOutputs(const Node& node, EngineStep& step) {
    for (const Value* output : node.outputs) step.outputs.push_back(tensorOf(output));
    for (const Dim& symbol : node.symbols) {
      const auto place = findSymbol(node, symbol);
      if (!place) continue;
      auto name = std::find(symbolNames_.begin(), symbolNames_.end(), *symbol.asSymbol());
      EngineSymbol& found = engine_.symbols[static_cast<size_t>(name - symbolNames_.begin())];
      found.tensor = step.outputs[place->first];
      found.axis = static_cast<int32_t>(place->second);
    }
  }

  void emitControl(const Node& node) {
    EngineStep step;
    step.name = node.name;
    step.origins = node.origins;
    step.control = static_cast<EngineStep::Control>(node.control);
    step.carried = node.carried;
    for (const Value* input : node.inputs) step.inputs.push_back(input ? tensorOf(input) : -1);
    emitOutputs(node, step);
    for (const std::shared_ptr<Graph>& body : node.bodies) {
      step.bodies.push_back(static_cast<int32_t>(engine_.bodies.size()));
      engine_.bodies.push_back(options_.emitBody(*body, weights_));
    }
    engine_.steps.push_back(std::move(step));
  }

  void emitStep(const Node& node) {
    const Tactic& tactic = tactics_.at(&node);
    EngineStep step;
    step.name = node.name;
    step.region = node.region->toString();
    step.origins = node.origins;
    step.precision = precisionOf(*tactic.problem);
    for (const Value* input : node.inputs)
      step.regionInputs.push_back(input ? declaredTensorOf(input) : -1);
    emitOutputs(node, step);

    std::vector<int> runtimeInputs;
    std::vector<size_t> emitted;
    for (size_t point = 0; point < options_.points.size(); ++point) {
      size_t index = tactic.chosenAt[point];
      auto known = std::find(emitted.begin(), emitted.end(), index);
      if (known != emitted.end()) {
        addPoint(step.variants[static_cast<size_t>(known - emitted.begin())], point);
        continue;
      }
      const Candidate& candidate = tactic.candidates[index];
      Prepared prepared = candidate.kernel->prepare(*tactic.problem, candidate.configuration);
      EngineStep::Variant variant;
      variant.kernel = std::string(candidate.kernel->name());
      variant.revision = candidate.kernel->revision();
      variant.parameters = std::move(prepared.parameters);
      size_t weightsBefore = weights_.size();
      for (const Tensor& weight : prepared.weights)
        variant.weights.push_back(weights_.indexOf(weight));
      if (step.variants.empty()) {
        runtimeInputs = prepared.runtimeInputs;
      } else if (prepared.runtimeInputs != runtimeInputs || weights_.size() != weightsBefore) {
        // Another packing would hold the weights twice: the first variant serves this range too.
        weights_.dropFrom(weightsBefore);
        addPoint(step.variants[0], point);
        continue;
      }
      addPoint(variant, point);
      emitted.push_back(index);
      step.variants.push_back(std::move(variant));
    }
    for (int input : runtimeInputs)
      step.inputs.push_back(node.inputs[input] ? tensorOf(node.inputs[input]) : -1);
    engine_.steps.push_back(std::move(step));
  }

  void addPoint(EngineStep::Variant& variant, size_t point) const {
    for (const std::string& name : symbolNames_)
      variant.tunedAt.push_back(options_.points[point].at(name));
  }

  void emitOutput(const Value* value) {
    int32_t index = tensorOf(value);
    bool direct =
        engine_.tensors[index].kind == EngineTensor::Kind::Output &&
        std::find(engine_.outputs.begin(), engine_.outputs.end(), index) == engine_.outputs.end();
    if (!direct) {
      // Something else owns the bytes: the runtime copies them out.
      EngineTensor copy = engine_.tensors[index];
      EngineTensor& source = engine_.tensors[index];
      copy.kind = EngineTensor::Kind::Output;
      copy.weight = -1;
      copy.contents.clear();
      copy.viewOf = index;
      copy.viewOffset = {};
      // An input, or another output, keeps the name that the application knows it by.
      if (source.kind != EngineTensor::Kind::Input && source.kind != EngineTensor::Kind::Output)
        source.name += "/source";
      index = static_cast<int32_t>(engine_.tensors.size());
      engine_.tensors.push_back(std::move(copy));
    }
    engine_.outputs.push_back(index);
  }

  const Graph& graph_;
  const TacticMap& tactics_;
  const EmitOptions& options_;
  WeightTable& weights_;
  ViewPlan views_;
  EngineData engine_;
  std::vector<std::string> symbolNames_;
  std::unordered_map<const Value*, int32_t> tensors_;
};

}  // namespace

EngineData emitBody(const Graph& graph, const TacticMap& tactics, const EmitOptions& options,
                    WeightTable& weights) {
  return Emitter(graph, tactics, options, weights).emit();
}

EngineData emitEngine(const Graph& graph, const TacticMap& tactics, const EmitOptions& options) {
  WeightTable weights;
  EngineData engine = emitBody(graph, tactics, options, weights);
  engine.weights = weights.take();
  engine.profiles = options.profiles;
  EngineMeta& meta = engine.meta;
  meta.producer = options.producer;
  meta.modelName = graph.name;
  meta.device = options.device.fingerprint();
  meta.deviceKind = options.device.kind;
  meta.isaBits = options.device.isa.bits;
  meta.threads = options.device.threads;
  meta.computeCapability = options.device.computeCapability;
  meta.explanation = explainTactics(graph, tactics, options);
  return engine;
}

}  // namespace carnot
