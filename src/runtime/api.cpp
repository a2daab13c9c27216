#include "runtime/api.h"

#include <carnot/names.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "base/error.h"
#include "runtime/step_names.h"

namespace carnot {
namespace {

bool dependsOnData(const EngineData& engine, const EngineTensor& tensor) {
  return std::ranges::any_of(tensor.dims, [&](const DimProgram& dim) {
    for (size_t i = 0; i < dim.code.size(); i += 2)
      if (dim.code[i] == static_cast<int64_t>(DimOp::Symbol) &&
          engine.symbols[static_cast<size_t>(dim.code[i + 1])].tensor >= 0)
        return true;
    return false;
  });
}

std::vector<TensorInfo> describe(const EngineData& engine, const std::vector<int32_t>& tensors) {
  std::vector<std::string> symbols;
  for (const EngineSymbol& symbol : engine.symbols) symbols.push_back(symbol.name);
  std::vector<TensorInfo> infos;
  for (int32_t index : tensors) {
    const EngineTensor& tensor = engine.tensors[index];
    TensorInfo info{tensor.name, tensor.dtype, {}, dependsOnData(engine, tensor)};
    for (const DimProgram& dim : tensor.dims) info.dims.push_back(dim.toDim(symbols).toString());
    infos.push_back(std::move(info));
  }
  return infos;
}

int indexOf(const char* what, std::string_view name, const std::vector<TensorInfo>& all) {
  auto found = std::ranges::find(all, name, &TensorInfo::name);
  if (found != all.end()) return static_cast<int>(found - all.begin());
  std::vector<std::string> names;
  for (const TensorInfo& info : all) names.push_back(info.name);
  std::string near = closest(name, names);
  throw Error(ErrorCode::InvalidArgument, fmt::format("no {} named '{}'", what, name),
              fmt::format("one of: {}", fmt::join(names, ", ")),
              near.empty() ? "" : fmt::format("did you mean '{}'?", near));
}

int checkedState(const Engine& engine, int state) {
  const int count = static_cast<int>(engine.states().size());
  if (state < 0 || state >= count)
    throw Error(ErrorCode::InvalidArgument, fmt::format("state {}", state),
                fmt::format("an index below {}", count));
  return engine.state().inputOfState(state);
}
int checkedInput(const Engine& engine, int input) {
  const int count = static_cast<int>(engine.inputs().size());
  if (input >= count)
    throw Error(ErrorCode::InvalidArgument, fmt::format("input {}", input),
                fmt::format("an index below {}", count));
  return input;
}

}  // namespace

bool TensorInfo::isDynamic() const {
  auto fixed = [](const std::string& dim) {
    return std::ranges::all_of(dim, [](char c) { return c >= '0' && c <= '9'; });
  };
  return !std::ranges::all_of(dims, fixed);
}

std::string TensorInfo::toString() const {
  return fmt::format("{}[{}]", dtypeName(dtype), fmt::join(dims, ", "));
}

Engine wrapEngine(std::shared_ptr<const EngineData> data, int threads) {
  auto state = std::make_shared<Engine::State>();
  BindOptions options;
  options.threads = threads;
  state->loaded = LoadedEngine::create(data, options);
  auto firstState = std::ranges::find(data->inputs, EngineTensor::Kind::State,
                                      [&](int32_t index) { return data->tensors[index].kind; });
  state->inputs = describe(*data, {data->inputs.begin(), firstState});
  state->states = describe(*data, {firstState, data->inputs.end()});
  state->outputs = describe(*data, data->outputs);
  return Engine(std::move(state));
}

Engine Engine::load(const std::string& path, const LoadOptions& options) {
  std::shared_ptr<const EngineData> data = loadEngine(path, options.verifyWeights);
  try {
    return wrapEngine(std::move(data), options.threads);
  } catch (Error& error) {
    error.within("file " + path);
    throw;
  }
}

Engine Engine::deserialize(std::span<const std::byte> bytes, const LoadOptions& options) {
  return wrapEngine(deserializeEngine(bytes, options.verifyWeights), options.threads);
}

void Engine::save(const std::string& path) const { saveEngine(state_->loaded->engine(), path); }

std::vector<std::byte> Engine::serialize() const {
  return serializeEngine(state_->loaded->engine());
}

const std::vector<TensorInfo>& Engine::inputs() const { return state_->inputs; }
const std::vector<TensorInfo>& Engine::states() const { return state_->states; }
const std::vector<TensorInfo>& Engine::outputs() const { return state_->outputs; }
int Engine::inputIndex(std::string_view name) const {
  return indexOf("input", name, state_->inputs);
}
int Engine::stateIndex(std::string_view name) const {
  return indexOf("state", name, state_->states);
}
int Engine::outputIndex(std::string_view name) const {
  return indexOf("output", name, state_->outputs);
}

EngineInfo Engine::info() const {
  const EngineData& data = state_->loaded->engine();
  EngineInfo info;
  info.producer = data.meta.producer;
  info.modelName = data.meta.modelName;
  info.device = data.meta.device;
  info.deviceKind = data.meta.deviceKind;
  info.isa = isaNames(IsaSet{data.meta.isaBits});
  info.tunedThreads = data.meta.threads;
  info.threads = state_->loaded->threads();
  info.layers = data.steps.size();
  for (const EngineWeight& weight : data.weights) info.weightBytes += weight.data.bytes();
  for (const EngineProfile& profile : data.profiles) {
    EngineInfo::Profile& out = info.profiles.emplace_back();
    out.enforced = profile.enforced;
    for (size_t i = 0; i < data.symbols.size(); ++i) {
      const EngineProfile::Range& range = profile.symbols[i];
      out.ranges.push_back({data.symbols[i].name, range.min, range.opt, range.max});
    }
  }
  return info;
}

std::map<std::string, std::vector<int64_t>> Engine::typicalShapes(
    const std::map<std::string, std::vector<int64_t>>& given) const {
  const EngineData& data = state_->loaded->engine();
  std::vector<int64_t> values(data.symbols.size(), 1);
  if (!data.profiles.empty())
    for (size_t i = 0; i < values.size(); ++i) values[i] = data.profiles[0].symbols[i].opt;
  for (const auto& [name, dims] : given) {
    const bool isState = std::ranges::count(state_->states, name, &TensorInfo::name) > 0;
    const int state = isState ? stateIndex(name) : -1;
    const int index = isState ? state_->inputOfState(state) : inputIndex(name);
    const EngineTensor& tensor = data.tensors[data.inputs[static_cast<size_t>(index)]];
    if (dims.size() != tensor.dims.size())
      throw Error(ErrorCode::InvalidArgument,
                  fmt::format("shape [{}] for input {}", fmt::join(dims, ", "), name),
                  (isState ? state_->states[state] : state_->inputs[index]).toString());
    for (size_t axis = 0; axis < dims.size(); ++axis)
      if (std::optional<int32_t> symbol = tensor.dims[axis].symbol()) values[*symbol] = dims[axis];
  }
  std::map<std::string, std::vector<int64_t>> shapes = given;
  for (int32_t index : data.inputs) {
    const EngineTensor& tensor = data.tensors[index];
    auto [entry, fresh] = shapes.try_emplace(tensor.name);
    if (!fresh) continue;
    for (const DimProgram& dim : tensor.dims) entry->second.push_back(dim.evaluate(values));
  }
  return shapes;
}

std::map<std::string, ShapeRange> Engine::profileShapes(int profile) const {
  const EngineData& data = state_->loaded->engine();
  if (profile < 0 || static_cast<size_t>(profile) >= data.profiles.size())
    throw Error(ErrorCode::InvalidArgument, fmt::format("profile {}", profile),
                fmt::format("0 to {}", data.profiles.size() - 1));
  std::map<std::string, ShapeRange> shapes;
  auto evaluate = [&](int64_t EngineProfile::Range::*which, const EngineTensor& tensor) {
    std::vector<int64_t> values, dims;
    for (const EngineProfile::Range& range : data.profiles[profile].symbols)
      values.push_back(range.*which);
    for (const DimProgram& dim : tensor.dims) dims.push_back(dim.evaluate(values));
    return dims;
  };
  for (int32_t index : data.inputs) {
    const EngineTensor& tensor = data.tensors[index];
    shapes[tensor.name] = {evaluate(&EngineProfile::Range::min, tensor),
                           evaluate(&EngineProfile::Range::opt, tensor),
                           evaluate(&EngineProfile::Range::max, tensor)};
  }
  return shapes;
}

std::string Engine::explain() const { return state_->loaded->engine().meta.explanation; }

Context Engine::createContext() const {
  auto state = std::make_unique<Context::State>();
  state->engine = *this;
  state->context = state_->loaded->createContext();
  return Context(std::move(state));
}

Context::Context(std::unique_ptr<State> state) : state_(std::move(state)) {}
Context::Context(Context&&) noexcept = default;
Context& Context::operator=(Context&&) noexcept = default;
Context::~Context() = default;

const Engine& Context::engine() const { return state_->engine; }
void Context::setProfile(int profile) { state_->context->setProfile(profile); }

void Context::setInputShape(int input, std::span<const int64_t> dims) {
  state_->context->setInputShape(checkedInput(state_->engine, input), dims);
}
void Context::setInputShape(std::string_view input, std::span<const int64_t> dims) {
  setInputShape(state_->engine.inputIndex(input), dims);
}

void Context::setStateShape(int state, std::span<const int64_t> dims) {
  state_->context->setInputShape(checkedState(state_->engine, state), dims);
}
void Context::setStateShape(std::string_view state, std::span<const int64_t> dims) {
  setStateShape(state_->engine.stateIndex(state), dims);
}

void Context::setState(int state, void* data) {
  state_->context->setInputAddress(checkedState(state_->engine, state), data);
}
void Context::setState(std::string_view state, void* data) {
  setState(state_->engine.stateIndex(state), data);
}

std::span<const int64_t> Context::outputShape(int output) {
  state_->context->prepare();
  return state_->context->outputShape(output);
}
std::span<const int64_t> Context::outputShape(std::string_view output) {
  return outputShape(state_->engine.outputIndex(output));
}

void Context::setInput(int input, const void* data) {
  state_->context->setInputAddress(checkedInput(state_->engine, input), data);
}
void Context::setInput(std::string_view input, const void* data) {
  setInput(state_->engine.inputIndex(input), data);
}
void Context::setOutput(int output, void* data) { state_->context->setOutputAddress(output, data); }
void Context::setOutputAllocator(int output, OutputAllocator allocator) {
  state_->context->setOutputAllocator(output, std::move(allocator));
}
void Context::setOutputAllocator(std::string_view output, OutputAllocator allocator) {
  setOutputAllocator(state_->engine.outputIndex(output), std::move(allocator));
}
void Context::setOutput(std::string_view output, void* data) {
  setOutput(state_->engine.outputIndex(output), data);
}

void Context::run() { state_->context->run(); }
void Context::enqueue(void* stream) { state_->context->enqueue(stream); }

Context::Parts Context::runParts() {
  const ExecutionContext::RunParts parts = state_->context->runParts();
  return {parts.copyIn, parts.compute, parts.copyOut};
}

void Context::runTimed(
    const std::function<void(std::string_view layer, double milliseconds)>& listener) {
  const EngineData& data = state_->engine.state().loaded->engine();
  std::vector<StepTime> times;
  state_->context->runProfiled(times);
  for (const StepTime& time : times) listener(data.steps[time.step].name, time.milliseconds);
}

void Context::runWatched(const std::function<void(const LayerOutput&)>& watcher) {
  const EngineData& data = state_->engine.state().loaded->engine();
  ExecutionContext& context = *state_->context;
  context.prepare();
  std::span<const int> variants = context.chosenVariants();
  context.runWatched([&](int index, int tensor, const TensorView& view) {
    const EngineStep& step = data.steps[index];
    const EngineTensor& declared = data.tensors[tensor];
    std::vector<std::string_view> inputs;
    for (int32_t input : step.regionInputs) {
      if (input < 0) continue;
      using enum EngineTensor::Kind;
      EngineTensor::Kind kind = data.tensors[input].kind;
      if (kind != Constant && kind != Packed) inputs.push_back(data.tensors[input].name);
    }
    std::string layout = layoutName(declared.layout);
    const std::string operators = operatorsOf(step);
    watcher({step.name, declared.name, layout, operators, kernelOf(step, variants[index]),
             step.origins, inputs, view.dtype, context.tensorShape(tensor), view.dims, view.data});
  });
}

Context::Memory Context::memory() {
  state_->context->prepare();
  ExecutionContext::Memory memory = state_->context->memory();
  return {memory.arenaBytes, memory.lowerBoundBytes};
}

}  // namespace carnot
