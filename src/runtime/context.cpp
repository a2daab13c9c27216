#include "runtime/context.h"

#include <algorithm>
#include <chrono>
#include <optional>

#include "base/error.h"
#include "runtime/recordings.h"
#include "runtime/shape_plan.h"
#include "runtime/staging.h"

namespace carnot {
namespace {

using Kind = EngineTensor::Kind;

class Context final : public ExecutionContext {
 public:
  Context(std::shared_ptr<const LoadedEngine> keepAlive, const LoadedEngine::State& state)
      : keepAlive_(std::move(keepAlive)),
        state_(state),
        engine_(*state.engine),
        stream_(state.device->createStream()),
        inputAddresses_(engine_.inputs.size()),
        outputAddresses_(engine_.outputs.size()),
        outputPointers_(engine_.outputs.size()),
        pointers_(engine_.tensors.size()) {
    for (int32_t tensor : engine_.inputs) {
      inputStarts_.push_back(inputDims_.size());
      inputDims_.resize(inputDims_.size() + engine_.tensors[tensor].dims.size());
    }
    shapeSet_.resize(engine_.inputs.size());
    setFixedShapes();
    for (const EngineStep& step : engine_.steps) {
      argumentStarts_.push_back(argumentTensors_.size());
      for (int32_t tensor : step.inputs) argumentTensors_.push_back(tensor);
      argumentStarts_.push_back(argumentTensors_.size());
      for (int32_t tensor : step.outputs) argumentTensors_.push_back(tensor);
    }
    arguments_.resize(argumentTensors_.size() + 1);
    for (size_t i = 0; i < pointers_.size(); ++i)
      if (engine_.tensors[i].kind == Kind::Constant)
        pointers_[i] = const_cast<void*>(state_.weights[engine_.tensors[i].weight]);
    if (state_.device->sharesHostMemory()) return;
    staging_.emplace(*state_.device, engine_.inputs.size(), engine_.outputs.size());
    recordings_.emplace(*state_.device, engine_.steps.size(),
                        [this](size_t first, size_t last) { issue(first, last, [](size_t) {}); });
  }

  void setProfile(int profile) override {
    int count = static_cast<int>(engine_.profiles.size());
    if (profile < -1 || profile >= count)
      throw Error(ErrorCode::InvalidArgument, fmt::format("profile {}", profile),
                  fmt::format("-1 to {}", count - 1));
    profile_ = profile;
    shapesDirty_ = true;
  }

  void setInputShape(int index, std::span<const int64_t> dims) override {
    const EngineTensor& tensor = inputTensor(index);
    bool fits = dims.size() == tensor.dims.size();
    for (size_t axis = 0; fits && axis < dims.size(); ++axis) {
      const DimProgram& program = tensor.dims[axis];
      fits = dims[axis] >= 0 && program.constant().value_or(dims[axis]) == dims[axis];
    }
    if (!fits)
      throw Error(ErrorCode::InvalidArgument,
                  fmt::format("shape {} for input {}", shapeText(dims), tensor.name),
                  declaredShape(tensor, state_.symbolNames), "give an input of that shape");
    auto to = inputDims_.begin() + static_cast<ptrdiff_t>(inputStarts_[index]);
    if (shapeSet_[index] && std::equal(dims.begin(), dims.end(), to)) return;
    std::copy(dims.begin(), dims.end(), to);
    shapeSet_[index] = 1;
    shapesDirty_ = true;
  }

  void setInputAddress(int index, const void* data) override {
    const EngineTensor& tensor = inputTensor(index);
    checkAlignment("input", tensor, data);
    void*& address = inputAddresses_[index];
    addressesDirty_ |= address != data;
    // Steps write none but the states, which the application gives as its own to change:
    // validateEngine.
    address = const_cast<void*>(data);
  }

  void setOutputAddress(int index, void* data) override {
    const EngineTensor& tensor = outputTensor(index);
    checkAlignment("output", tensor, data);
    void*& address = outputAddresses_[index];
    addressesDirty_ |= address != data;
    address = data;
  }

  void prepare() override {
    if (!shapesDirty_) return;
    for (size_t i = 0; i < shapeSet_.size(); ++i)
      if (!shapeSet_[i])
        throw Error(ErrorCode::InvalidArgument,
                    fmt::format("no shape for input {}", engine_.tensors[engine_.inputs[i]].name),
                    "a shape for each input", "set it before the run");
    plan_ = nullptr;
    std::shared_ptr<const ShapePlan> plan = state_.plans.find(inputDims_);
    if (!plan) plan = state_.plans.insert(inputDims_, makeShapePlan(state_, inputDims_));
    checkProfiles(*plan);
    plan_ = std::move(plan);
    shapesDirty_ = false;
    addressesDirty_ = true;
  }

  std::span<const int64_t> outputShape(int index) override {
    outputTensor(index);
    return prepared().dimsOf(engine_.outputs[index]);
  }

  std::span<const int64_t> tensorShape(int tensor) override {
    if (tensor < 0 || static_cast<size_t>(tensor) >= engine_.tensors.size())
      throw Error(ErrorCode::InvalidArgument, fmt::format("tensor {}", tensor),
                  fmt::format("0 to {}", engine_.tensors.size() - 1));
    return prepared().dimsOf(tensor);
  }

  void run() override {
    if (recordings_)
      runSteps([this] { recordings_->run(plan_, arguments_, *stream_); });
    else
      runSteps([this] { issue(0, engine_.steps.size(), [](size_t) {}); });
  }

  RunParts runParts() override {
    if (!staging_) {
      const auto start = std::chrono::steady_clock::now();
      run();
      const std::chrono::duration<double, std::milli> spent =
          std::chrono::steady_clock::now() - start;
      return {0, spent.count(), 0};
    }
    if (!partsTimed_) staging_->setTimed(partsTimed_ = true);
    run();
    const Staging::Times times = staging_->times();
    return {times.in, times.between, times.out};
  }

  void runProfiled(std::vector<StepTime>& times) override {
    size_t steps = engine_.steps.size();
    times.resize(steps);
    while (events_.size() <= steps) events_.push_back(state_.device->createEvent());
    runSteps([&] {
      events_[0]->record(*stream_);
      issue(0, steps, [&](size_t step) { events_[step + 1]->record(*stream_); });
    });
    for (size_t step = 0; step < steps; ++step)
      times[step] = {static_cast<int>(step), events_[step + 1]->millisecondsSince(*events_[step])};
  }

  void runWatched(const Watcher& watcher) override {
    std::vector<std::byte> copy;
    auto watch = [&](size_t step) {
      for (int32_t tensor : engine_.steps[step].outputs) {
        const EngineTensor& declared = engine_.tensors[tensor];
        std::vector<int64_t> dims = physicalDims(declared.layout, plan_->dimsOf(tensor));
        void* data = pointers_[tensor];
        if (!state_.device->sharesHostMemory()) {
          copy.resize(plan_->bytes[tensor]);
          state_.device->copyFromDevice(copy.data(), data, copy.size(), *stream_);
          stream_->synchronize();
          data = copy.data();
        }
        watcher(static_cast<int>(step), tensor, TensorView{data, declared.dtype, dims});
      }
    };
    runSteps([&] { issue(0, engine_.steps.size(), watch); });
  }

  Memory memory() override { return {prepared().arenaBytes, prepared().lowerBoundBytes}; }

  StepCost stepCost(int step) override {
    return costOfStep(state_, prepared(), static_cast<size_t>(step));
  }

  std::span<const int> chosenVariants() override { return prepared().variants; }

 private:
  const EngineTensor& inputTensor(int index) const {
    return engine_.tensors[checked("input", index, engine_.inputs)];
  }
  const EngineTensor& outputTensor(int index) const {
    return engine_.tensors[checked("output", index, engine_.outputs)];
  }
  static int32_t checked(const char* what, int index, const std::vector<int32_t>& all) {
    if (index < 0 || static_cast<size_t>(index) >= all.size())
      throw Error(ErrorCode::InvalidArgument, fmt::format("{} {}", what, index),
                  fmt::format("an index below {}", all.size()));
    return all[index];
  }

  // Kernels load elements, so an address must suit the element, if not a whole vector.
  static void checkAlignment(const char* what, const EngineTensor& tensor, const void* data) {
    size_t alignment = std::clamp(dtypeBits(tensor.dtype) / 8, 1, 8);
    if (reinterpret_cast<uintptr_t>(data) % alignment == 0) return;
    throw Error(
        ErrorCode::InvalidArgument,
        fmt::format("{} {} at an address that is no multiple of {}", what, tensor.name, alignment),
        fmt::format("memory aligned to its elements of {}", dtypeName(tensor.dtype)),
        "copy it to aligned memory");
  }

  // Inputs without symbols need not be told their shape.
  void setFixedShapes() {
    for (size_t i = 0; i < engine_.inputs.size(); ++i) {
      const EngineTensor& tensor = engine_.tensors[engine_.inputs[i]];
      shapeSet_[i] = 1;
      for (size_t axis = 0; axis < tensor.dims.size(); ++axis) {
        std::optional<int64_t> dim = tensor.dims[axis].constant();
        if (dim && *dim >= 0)
          inputDims_[inputStarts_[i] + axis] = *dim;
        else
          shapeSet_[i] = 0;
      }
    }
  }

  const ShapePlan& prepared() const {
    if (!plan_ || shapesDirty_)
      throw Error(ErrorCode::InvalidArgument, "shapes that are not prepared",
                  "prepare() after the inputs' shapes are set");
    return *plan_;
  }

  static bool admits(const EngineProfile& profile, std::span<const int64_t> values) {
    for (size_t i = 0; i < values.size(); ++i)
      if (values[i] < profile.symbols[i].min || values[i] > profile.symbols[i].max) return false;
    return true;
  }

  void checkProfiles(const ShapePlan& plan) const {
    const std::vector<EngineProfile>& all = engine_.profiles;
    if (std::ranges::none_of(all, &EngineProfile::enforced)) return;
    auto fits = [&](const EngineProfile& profile) {
      return !profile.enforced || admits(profile, plan.symbolValues);
    };
    if (profile_ >= 0 ? fits(all[profile_]) : std::ranges::any_of(all, fits)) return;
    std::string has, needs;
    for (size_t i = 0; i < engine_.symbols.size(); ++i) {
      const EngineSymbol& symbol = engine_.symbols[i];
      const EngineTensor& input = engine_.tensors[engine_.inputs[symbol.input]];
      has += fmt::format("{}{} = {} (dimension {} of input {})", i ? ", " : "", symbol.name,
                         plan.symbolValues[i], symbol.axis, input.name);
    }
    for (size_t p = 0; p < all.size(); ++p) {
      if (profile_ >= 0 && p != static_cast<size_t>(profile_)) continue;
      needs += fmt::format("{}profile {}:", needs.empty() ? "" : "; or ", p);
      for (size_t i = 0; i < engine_.symbols.size(); ++i)
        needs += fmt::format("{}{} from {} to {}", i ? ", " : " ", engine_.symbols[i].name,
                             all[p].symbols[i].min, all[p].symbols[i].max);
    }
    throw Error(ErrorCode::InvalidArgument, "shapes outside the profile: " + has, needs,
                "build the engine with a profile that holds these shapes");
  }

  // Makes every pointer that the steps get; nothing to do when a run repeats the last.
  void bind() {
    prepare();
    if (!addressesDirty_) return;
    growArena();
    for (size_t i = 0; i < engine_.inputs.size(); ++i) {
      int32_t tensor = engine_.inputs[i];
      const bool state = engine_.tensors[tensor].kind == Kind::State;
      void* data = address(state ? "state" : "input", tensor, inputAddresses_[i]);
      pointers_[tensor] = staging_ ? staging_->input(i, data, plan_->bytes[tensor], state) : data;
    }
    for (size_t i = 0; i < engine_.outputs.size(); ++i) {
      int32_t tensor = engine_.outputs[i];
      void* data = address("output", tensor, outputAddresses_[i]);
      outputPointers_[i] = staging_ ? staging_->output(i, data, plan_->bytes[tensor]) : data;
      if (engine_.tensors[tensor].kind == Kind::Output) pointers_[tensor] = outputPointers_[i];
    }
    auto* arena = static_cast<std::byte*>(arena_->data());
    for (size_t i = 0; i < pointers_.size(); ++i) {
      if (state_.roots[i] != static_cast<int32_t>(i)) continue;
      if (engine_.tensors[i].kind == Kind::Activation)
        pointers_[i] = arena + plan_->places[i];
      else if (engine_.tensors[i].kind == Kind::Shape)
        pointers_[i] = const_cast<void*>(plan_->contents[i]);
    }
    for (size_t i = 0; i < pointers_.size(); ++i)
      if (int32_t root = state_.roots[i]; root != static_cast<int32_t>(i))
        pointers_[i] = static_cast<std::byte*>(pointers_[root]) + plan_->offsets[i];
    checkOverlaps();
    for (size_t i = 0; i < argumentTensors_.size(); ++i)
      arguments_[i] = argumentTensors_[i] >= 0 ? pointers_[argumentTensors_[i]] : nullptr;
    arguments_.back() = arena;
    addressesDirty_ = false;
  }

  void growArena() {
    size_t needed = std::max<size_t>(static_cast<size_t>(plan_->arenaBytes), 64);
    if (arena_ && arena_->bytes() >= needed) return;
    arena_ = nullptr;  // before its successor, or both would stand at once
    arena_ = state_.device->allocate(needed);
  }

  // A tensor without elements may have no address; kernels still get one that is not null.
  void* address(const char* what, int32_t tensor, void* data) const {
    if (data) return data;
    if (plan_->bytes[tensor] == 0) return arena_->data();
    throw Error(ErrorCode::InvalidArgument,
                fmt::format("no memory for {} {}", what, engine_.tensors[tensor].name),
                fmt::format("{} bytes", plan_->bytes[tensor]), "set its address before the run");
  }

  // Steps write outputs and states while inputs are still read.
  void checkOverlaps() const {
    for (size_t i = 0; i < engine_.inputs.size(); ++i) {
      if (engine_.tensors[engine_.inputs[i]].kind != Kind::State) continue;
      for (size_t j = 0; j < i; ++j)
        checkOverlap("state", engine_.inputs[i], inputAddresses_[i], "input", engine_.inputs[j],
                     inputAddresses_[j]);
    }
    for (size_t i = 0; i < engine_.outputs.size(); ++i) {
      for (size_t j = 0; j < engine_.inputs.size(); ++j)
        checkOverlap("output", engine_.outputs[i], outputAddresses_[i], "input", engine_.inputs[j],
                     inputAddresses_[j]);
      for (size_t j = 0; j < i; ++j)
        checkOverlap("output", engine_.outputs[i], outputAddresses_[i], "output",
                     engine_.outputs[j], outputAddresses_[j]);
    }
  }
  void checkOverlap(const char* written, int32_t a, const void* atA, const char* what, int32_t b,
                    const void* atB) const {
    auto beginA = reinterpret_cast<uintptr_t>(atA), beginB = reinterpret_cast<uintptr_t>(atB);
    size_t bytesA = plan_->bytes[a], bytesB = plan_->bytes[b];
    if (bytesA == 0 || bytesB == 0) return;
    if (beginA + bytesA <= beginB || beginB + bytesB <= beginA) return;
    throw Error(ErrorCode::InvalidArgument,
                fmt::format("{} {} in the memory of {} {}", written, engine_.tensors[a].name, what,
                            engine_.tensors[b].name),
                fmt::format("memory of its own for each {}", written));
  }

  template <typename After>
  void issue(size_t first, size_t last, After after) {
    size_t step = first;
    try {
      RunArguments arguments;
      arguments.stream = stream_.get();
      arguments.pool = state_.pool.get();
      auto* arena = static_cast<std::byte*>(arena_->data());
      for (; step < last; ++step) {
        arguments.inputs = arguments_.data() + argumentStarts_[2 * step];
        arguments.outputs = arguments_.data() + argumentStarts_[2 * step + 1];
        arguments.workspace = arena + plan_->workspaces[step];
        plan_->executables[step]->run(arguments);
        after(step);
      }
    } catch (Error& error) {
      error.within("step " + engine_.steps[step].name);
      throw;
    }
  }

  // `steps` runs them all, or issues them.
  template <typename Steps>
  void runSteps(Steps steps) {
    bind();
    state_.device->activate();
    if (staging_) staging_->copyIn(*stream_);
    steps();
    for (const LoadedEngine::State::Copy& copy : state_.copies)
      if (plan_->bytes[copy.source] > 0)
        state_.device->copyOnDevice(outputPointers_[copy.output], pointers_[copy.source],
                                    plan_->bytes[copy.source], *stream_);
    if (staging_) staging_->copyOut(*stream_);
    stream_->synchronize();
    if (staging_) staging_->finish();
  }

  std::shared_ptr<const LoadedEngine> keepAlive_;
  const LoadedEngine::State& state_;
  const EngineData& engine_;
  std::unique_ptr<Stream> stream_;

  int profile_ = -1;
  std::vector<int64_t> inputDims_;  // of all inputs, one after another
  std::vector<size_t> inputStarts_;
  std::vector<char> shapeSet_;
  bool shapesDirty_ = true;
  std::shared_ptr<const ShapePlan> plan_;

  std::vector<void*> inputAddresses_, outputAddresses_;  // the application's
  std::vector<void*> outputPointers_;                    // the device's
  bool addressesDirty_ = true;
  std::shared_ptr<Buffer> arena_;
  std::vector<void*> pointers_;                 // of each tensor
  std::vector<int32_t> argumentTensors_;        // of all steps, inputs then outputs
  std::vector<size_t> argumentStarts_;          // two each step
  std::vector<void*> arguments_;                // and, last, the arena
  std::vector<std::unique_ptr<Event>> events_;  // between steps, when profiled
  // Where the device shares no memory with the host.
  std::optional<Staging> staging_;
  bool partsTimed_ = false;
  std::optional<Recordings> recordings_;
};

}  // namespace

std::unique_ptr<ExecutionContext> makeContext(std::shared_ptr<const LoadedEngine> keepAlive,
                                              const LoadedEngine::State& state) {
  return std::make_unique<Context>(std::move(keepAlive), state);
}

}  // namespace carnot
