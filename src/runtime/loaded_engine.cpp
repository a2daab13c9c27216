#include "runtime/loaded_engine.h"

#include <algorithm>
#include <cstdlib>

#include "base/error.h"
#include "base/version.h"
#include "runtime/context.h"
#include "runtime/segments.h"

namespace carnot {
namespace {

using Kind = EngineTensor::Kind;

int threadsFor(const EngineMeta& meta, int asked) {
  if (asked > 0) return asked;
  if (std::getenv("CARNOT_THREADS")) return defaultThreads();
  return std::min(meta.threads, availableCores());
}

void checkInstructions(const EngineMeta& meta) {
  IsaSet needed{meta.isaBits}, host = hostIsa();
  if (host.contains(needed)) return;
  throw Error(ErrorCode::Incompatible, fmt::format("a processor with {}", isaNames(host)),
              fmt::format("{}, for which the engine was built", isaNames(needed)),
              fmt::format("build the engine with --isa={}, or on this machine", isaNames(host)));
}

// Kernels were chosen, and libraries' plans made, for one capability.
void checkCapability(const EngineMeta& meta, const DeviceTraits& device) {
  if (meta.computeCapability == device.computeCapability) return;
  auto text = [](int capability) {
    return fmt::format("compute capability {}.{}", capability / 10, capability % 10);
  };
  throw Error(ErrorCode::Incompatible,
              fmt::format("{} of {}", device.model, text(device.computeCapability)),
              fmt::format("{}, for which the engine was built ({})", text(meta.computeCapability),
                          meta.device),
              "build the engine on this GPU");
}

std::shared_ptr<Device> openDeviceFor(const EngineMeta& meta, int threads) {
  if (meta.deviceKind == "cpu") {
    checkInstructions(meta);
    DeviceTraits traits = hostTraits(threads);
    traits.isa = IsaSet{meta.isaBits};  // what was tuned is what runs
    return openDevice(traits);
  }
  try {
    const DeviceTraits traits = deviceTraits(meta.deviceKind, threads);
    checkCapability(meta, traits);
    return openDevice(traits);
  } catch (const Error& error) {
    if (error.code() == ErrorCode::Incompatible) throw;
    throw Error(ErrorCode::Incompatible,
                fmt::format("an engine built for {} where {}", meta.deviceKind, error.has()),
                fmt::format("a device of that kind; {}", error.needs()),
                "build the engine for cpu");
  }
}

// Sections start where any kernel may want them to.
constexpr size_t kUploadAlignment = 256;
size_t roundUp(size_t bytes) {
  return (bytes + kUploadAlignment - 1) / kUploadAlignment * kUploadAlignment;
}

void placeWeights(LoadedEngine::State& state) {
  const std::vector<EngineWeight>& sections = state.engine->weights;
  if (state.device->sharesHostMemory()) {
    for (const EngineWeight& weight : sections) state.weights.push_back(weight.data.data());
    return;
  }
  size_t bytes = 0;
  for (const EngineWeight& weight : sections) bytes += roundUp(weight.data.bytes());
  state.uploaded = state.device->allocate(std::max(bytes, kUploadAlignment));
  std::unique_ptr<Stream> stream = state.device->createStream();
  auto* next = static_cast<std::byte*>(state.uploaded->data());
  for (const EngineWeight& weight : sections) {
    state.device->copyToDevice(next, weight.data.data(), weight.data.bytes(), *stream);
    state.weights.push_back(next);
    next += roundUp(weight.data.bytes());
  }
  stream->synchronize();
}

std::unique_ptr<BoundKernel> bindVariant(const LoadedEngine::State& state,
                                         const EngineStep::Variant& variant, bool finds,
                                         const BindOptions& options) {
  const Kernel* kernel = options.findKernel
                             ? options.findKernel(variant.kernel)
                             : findKernel(variant.kernel, state.root->meta.deviceKind);
  const char* remedy = "build the engine again with this version";
  if (!kernel)
    throw Error(ErrorCode::Incompatible, fmt::format("kernel {} in the engine", variant.kernel),
                fmt::format("a kernel that carnot {} has", version()), remedy);
  if (kernel->revision() != variant.revision)
    throw Error(
        ErrorCode::Incompatible,
        fmt::format("kernel {} of revision {} in the engine", variant.kernel, variant.revision),
        fmt::format("revision {}, which carnot {} has", kernel->revision(), version()), remedy);
  if (finds && !kernel->findsDims())
    throw Error(ErrorCode::InvalidModel,
                fmt::format("kernel {} for dims that depend on data", variant.kernel),
                "a kernel that finds them", "the engine is damaged; build it again");
  BindArguments arguments{variant.parameters, {}, state.device->traits()};
  const std::vector<EngineWeight>& weights = state.root->weights;
  for (int32_t index : variant.weights) {
    const EngineWeight& weight = weights[index];
    arguments.weights.push_back(
        {const_cast<void*>(state.weights[index]), weight.data.dtype(), weight.data.dims()});
  }
  return kernel->bind(arguments);
}

void bindKernels(LoadedEngine::State& state, const BindOptions& options) {
  const std::vector<EngineStep>& steps = state.engine->steps;
  state.kernels.resize(steps.size());
  // Code is generated here: worth the pool from a few steps on.
  constexpr int64_t grain = 4;
  state.pool->forRange(static_cast<int64_t>(steps.size()), grain, [&](int64_t begin, int64_t end) {
    state.device->activate();
    for (int64_t i = begin; i < end; ++i) {
      try {
        const int32_t output = steps[i].outputs.front();
        const bool finds = state.engine->tensors[output].kind == Kind::Found;
        for (const EngineStep::Variant& variant : steps[i].variants)
          state.kernels[i].push_back(bindVariant(state, variant, finds, options));
      } catch (Error& error) {
        error.within("step " + steps[i].name);
        throw;
      }
    }
  });
}

void findLives(LoadedEngine::State& state) {
  const EngineData& engine = *state.engine;
  state.roots.resize(engine.tensors.size());
  state.lives.resize(engine.tensors.size());
  for (size_t i = 0; i < engine.tensors.size(); ++i) {
    const EngineTensor& tensor = engine.tensors[i];
    bool view = tensor.kind == Kind::Activation && tensor.viewOf >= 0;
    state.roots[i] = view ? tensor.viewOf : static_cast<int32_t>(i);
  }
  auto touch = [&](int32_t tensor, int32_t step) {
    if (tensor < 0) return;
    LoadedEngine::State::Life& life = state.lives[state.roots[tensor]];
    life.first = std::min(life.first, step);
    life.last = std::max(life.last, step);
  };
  int32_t end = static_cast<int32_t>(engine.steps.size());
  for (int32_t step = 0; step < end; ++step) {
    for (int32_t tensor : engine.steps[step].inputs) touch(tensor, step);
    for (int32_t tensor : engine.steps[step].outputs) touch(tensor, step);
  }
  for (size_t i = 0; i < engine.outputs.size(); ++i) {
    const EngineTensor& output = engine.tensors[engine.outputs[i]];
    bool direct = output.kind == Kind::Output && output.viewOf < 0;
    if (direct) continue;
    int32_t source = output.kind == Kind::Output ? output.viewOf : engine.outputs[i];
    state.copies.push_back({static_cast<int32_t>(i), source});
    touch(source, end);
  }
}

// What follows from the engine, the device and the weights; of its bodies too.
void resolve(LoadedEngine::State& state, const BindOptions& options) {
  for (const EngineSymbol& symbol : state.engine->symbols) state.symbolNames.push_back(symbol.name);
  findLives(state);
  findSegments(state);
  bindKernels(state, options);
  for (const EngineData& data : state.engine->bodies) {
    LoadedEngine::State& body = *state.bodies.emplace_back(std::make_unique<LoadedEngine::State>());
    body.engine = {state.engine, &data};
    body.root = state.root;
    body.device = state.device;
    body.pool = state.pool;
    body.weights = state.weights;
    resolve(body, options);
  }
}

}  // namespace

LoadedEngine::LoadedEngine() : state_(std::make_unique<State>()) {}
LoadedEngine::~LoadedEngine() = default;

std::shared_ptr<LoadedEngine> LoadedEngine::create(std::shared_ptr<const EngineData> engine,
                                                   const BindOptions& options) {
  std::shared_ptr<LoadedEngine> loaded(new LoadedEngine());
  State& state = *loaded->state_;
  state.engine = std::move(engine);
  int threads = threadsFor(state.engine->meta, options.threads);
  state.device = openDeviceFor(state.engine->meta, threads);
  state.pool = ThreadPool::shared(threads);
  state.root = state.engine;
  placeWeights(state);
  resolve(state, options);
  return loaded;
}

const EngineData& LoadedEngine::engine() const { return *state_->engine; }
int LoadedEngine::threads() const { return state_->pool->threads(); }

std::unique_ptr<ExecutionContext> LoadedEngine::createContext() const {
  return makeContext(shared_from_this(), *state_);
}

}  // namespace carnot
