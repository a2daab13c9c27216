#include "runtime/loaded_engine.h"

#include <algorithm>
#include <cstdlib>

#include "base/error.h"
#include "base/version.h"
#include "runtime/context.h"

namespace carnot {
namespace {

using Kind = EngineTensor::Kind;

int threadsFor(const EngineMeta& meta, int asked) {
  if (asked > 0) return asked;
  if (std::getenv("CARNOT_THREADS")) return defaultThreads();
  return std::min(meta.threads, availableCores());
}

void checkDevice(const EngineMeta& meta) {
  if (meta.deviceKind != "cpu")
    throw Error(ErrorCode::Incompatible, fmt::format("an engine built for {}", meta.deviceKind),
                "a device of that kind; this program runs on cpu", "build the engine for cpu");
  IsaSet needed{meta.isaBits}, host = hostIsa();
  if (host.contains(needed)) return;
  throw Error(ErrorCode::Incompatible, fmt::format("a processor with {}", isaNames(host)),
              fmt::format("{}, for which the engine was built", isaNames(needed)),
              fmt::format("build the engine with --isa={}, or on this machine", isaNames(host)));
}

std::unique_ptr<BoundKernel> bindVariant(const LoadedEngine::State& state,
                                         const EngineStep::Variant& variant,
                                         const BindOptions& options) {
  const Kernel* kernel =
      options.findKernel ? options.findKernel(variant.kernel) : findKernel(variant.kernel);
  const char* remedy = "build the engine again with this version";
  if (!kernel)
    throw Error(ErrorCode::Incompatible, fmt::format("kernel {} in the engine", variant.kernel),
                fmt::format("a kernel that carnot {} has", version()), remedy);
  if (kernel->revision() != variant.revision)
    throw Error(
        ErrorCode::Incompatible,
        fmt::format("kernel {} of revision {} in the engine", variant.kernel, variant.revision),
        fmt::format("revision {}, which carnot {} has", kernel->revision(), version()), remedy);
  BindArguments arguments{variant.parameters, {}, state.device->traits()};
  for (int32_t index : variant.weights)
    arguments.weights.push_back(state.engine->weights[index].data.view());
  return kernel->bind(arguments);
}

void bindKernels(LoadedEngine::State& state, const BindOptions& options) {
  const std::vector<EngineStep>& steps = state.engine->steps;
  state.kernels.resize(steps.size());
  // Code is generated here: worth the pool from a few steps on.
  constexpr int64_t grain = 4;
  state.pool->forRange(static_cast<int64_t>(steps.size()), grain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      try {
        for (const EngineStep::Variant& variant : steps[i].variants)
          state.kernels[i].push_back(bindVariant(state, variant, options));
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

}  // namespace

LoadedEngine::LoadedEngine() : state_(std::make_unique<State>()) {}
LoadedEngine::~LoadedEngine() = default;

std::shared_ptr<LoadedEngine> LoadedEngine::create(std::shared_ptr<const EngineData> engine,
                                                   const BindOptions& options) {
  checkDevice(engine->meta);
  std::shared_ptr<LoadedEngine> loaded(new LoadedEngine());
  State& state = *loaded->state_;
  state.engine = std::move(engine);
  int threads = threadsFor(state.engine->meta, options.threads);
  DeviceTraits traits = hostTraits(threads);
  traits.isa = IsaSet{state.engine->meta.isaBits};  // what was tuned is what runs
  state.device = openCpu(traits);
  state.pool = ThreadPool::shared(threads);
  for (const EngineSymbol& symbol : state.engine->symbols) state.symbolNames.push_back(symbol.name);
  findLives(state);
  bindKernels(state, options);
  return loaded;
}

const EngineData& LoadedEngine::engine() const { return *state_->engine; }
int LoadedEngine::threads() const { return state_->pool->threads(); }

std::unique_ptr<ExecutionContext> LoadedEngine::createContext() const {
  return makeContext(shared_from_this(), *state_);
}

}  // namespace carnot
