#include "runtime/context.h"

#include <algorithm>
#include <chrono>
#include <optional>

#include "base/error.h"
#include "base/shape.h"
#include "runtime/control.h"
#include "runtime/grown_buffer.h"
#include "runtime/recordings.h"
#include "runtime/shape_plan.h"
#include "runtime/staging.h"

namespace carnot {
namespace {

using Kind = EngineTensor::Kind;

// Among a step's arguments: the arena.
constexpr int32_t kArena = -2;

class Context final : public ExecutionContext {
 public:
  // `stream`: null for one of its own.
  Context(std::shared_ptr<const LoadedEngine> keepAlive, const LoadedEngine::State& state,
          Stream* stream)
      : keepAlive_(std::move(keepAlive)),
        state_(state),
        engine_(*state.engine),
        ownStream_(stream ? nullptr : state.device->createStream()),
        stream_(stream ? stream : ownStream_.get()),
        plans_(state.segments.size()),
        inputAddresses_(engine_.inputs.size()),
        outputAddresses_(engine_.outputs.size()),
        outputPointers_(engine_.outputs.size()),
        allocators_(engine_.outputs.size()),
        bound_(state.segments.size()),
        kept_(state.segments.size()),
        found_(engine_.tensors.size()),
        pointers_(engine_.tensors.size()),
        controls_(engine_.steps.size()) {
    for (int32_t tensor : engine_.inputs) {
      inputStarts_.push_back(inputDims_.size());
      inputDims_.resize(inputDims_.size() + engine_.tensors[tensor].dims.size());
    }
    shapeSet_.resize(engine_.inputs.size());
    setFixedShapes();
    for (const LoadedEngine::State::Segment& segment : state_.segments) {
      segmentArguments_.push_back(argumentTensors_.size());
      for (const EngineStep& step :
           std::span(engine_.steps).subspan(segment.first, segment.last - segment.first)) {
        argumentStarts_.push_back(argumentTensors_.size());
        for (int32_t tensor : step.inputs) argumentTensors_.push_back(tensor);
        argumentStarts_.push_back(argumentTensors_.size());
        for (int32_t tensor : step.outputs) argumentTensors_.push_back(tensor);
      }
      argumentTensors_.push_back(kArena);
    }
    segmentArguments_.push_back(argumentTensors_.size());
    arguments_.resize(argumentTensors_.size());
    for (size_t i = 0; i < pointers_.size(); ++i)
      if (engine_.tensors[i].kind == Kind::Constant)
        pointers_[i] = const_cast<void*>(state_.weights[engine_.tensors[i].weight]);
    if (state_.device->sharesHostMemory()) return;
    staging_.emplace(*state_.device, engine_.inputs.size(), engine_.outputs.size());
    if (stream) return;  // a body's addresses change with every run
    for (const LoadedEngine::State::Segment& segment : state_.segments)
      recordings_.emplace_back(
          *state_.device, segment.first, segment.last - segment.finds,
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
    // Steps write none but the states, which the application gives as its own to change:
    // validateEngine.
    setAddress(inputAddresses_[index], const_cast<void*>(data));
  }

  void setOutputAddress(int index, void* data) override {
    const EngineTensor& tensor = outputTensor(index);
    checkAlignment("output", tensor, data);
    allocators_[index] = nullptr;
    setAddress(outputAddresses_[index], data);
  }

  void setOutputAllocator(int index, Allocator allocator) override {
    outputTensor(index);
    allocators_[index] = std::move(allocator);
  }

  void prepare() override {
    if (!shapesDirty_) return;
    for (size_t i = 0; i < shapeSet_.size(); ++i)
      if (!shapeSet_[i])
        throw Error(ErrorCode::InvalidArgument,
                    fmt::format("no shape for input {}", engine_.tensors[engine_.inputs[i]].name),
                    "a shape for each input", "set it before the run");
    for (auto& plan : plans_) plan = nullptr;
    std::shared_ptr<const ShapePlan> plan = state_.plans.find(inputDims_);
    if (!plan) plan = state_.plans.insert(inputDims_, makeShapePlan(state_, inputDims_));
    checkProfiles(*plan);
    plans_[0] = std::move(plan);
    shapesDirty_ = false;
    ++version_;
  }

  std::span<const int64_t> outputShape(int index) override {
    outputTensor(index);
    return tensorShape(engine_.outputs[index]);
  }

  std::span<const int64_t> tensorShape(int tensor) override {
    if (tensor < 0 || static_cast<size_t>(tensor) >= engine_.tensors.size())
      throw Error(ErrorCode::InvalidArgument, fmt::format("tensor {}", tensor),
                  fmt::format("0 to {}", engine_.tensors.size() - 1));
    const auto level = static_cast<size_t>(state_.levels[tensor]);
    if (level == 0) return prepared().dimsOf(tensor);
    prepared();
    if (!plans_.back() || !plans_[level])
      throw Error(ErrorCode::InvalidArgument,
                  fmt::format("the shape of {} before the run", engine_.tensors[tensor].name),
                  fmt::format("a run first: {} depends on the inputs' data",
                              declaredShape(engine_.tensors[tensor], state_.symbolNames)),
                  "ask after the run, or set an output allocator, which is told the shape");
    return plans_[level]->dimsOf(tensor);
  }

  void run() override {
    if (recordings_.empty())
      runSegments([](size_t) {});
    else
      runSteps([this](size_t k, size_t,
                      size_t) { recordings_[k].run(plans_[k], argumentsOf(k), *stream_); },
               [](size_t) {});
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
    events_[0]->record(*stream_);
    runSegments([&](size_t step) { events_[step + 1]->record(*stream_); });
    for (size_t step = 0; step < steps; ++step)
      times[step] = {static_cast<int>(step), events_[step + 1]->millisecondsSince(*events_[step])};
  }

  void runWatched(const Watcher& watcher) override {
    std::vector<std::byte> copy;
    auto watch = [&](size_t step) {
      for (int32_t tensor : engine_.steps[step].outputs) {
        const EngineTensor& declared = engine_.tensors[tensor];
        const auto level = static_cast<size_t>(state_.levels[tensor]);
        if (!plans_[level]) planSegment(level);  // what a step has just found
        const ShapePlan& plan = *plans_[level];
        std::vector<int64_t> dims = physicalDims(declared.layout, plan.dimsOf(tensor));
        void* data = pointers_[tensor];
        if (!state_.device->sharesHostMemory()) {
          copy.resize(plan.bytes[tensor]);
          state_.device->copyFromDevice(copy.data(), data, copy.size(), *stream_);
          stream_->synchronize();
          data = copy.data();
        }
        watcher(static_cast<int>(step), tensor, TensorView{data, declared.dtype, dims});
      }
    };
    runSegments(watch);
  }

  Memory memory() override {
    prepared();
    Memory memory;
    int64_t arena = 0;
    for (const auto& plan : plans_) {
      if (!plan) break;
      memory.arenaBytes += plan->keptBytes;
      arena = std::max(arena, plan->arenaBytes);
      memory.lowerBoundBytes = std::max(memory.lowerBoundBytes, plan->lowerBoundBytes);
    }
    memory.arenaBytes += arena;
    return memory;
  }

  StepCost stepCost(int step) override {
    prepared();
    size_t k = segmentOf(static_cast<size_t>(step));
    // Where a step finds its outputs' dims, the next segment knows them.
    if (state_.segments[k].finds && static_cast<size_t>(step) + 1 == state_.segments[k].last) ++k;
    return plans_[k] ? costOfStep(state_, *plans_[k], static_cast<size_t>(step)) : StepCost{};
  }

  std::span<const int> chosenVariants() override {
    if (plans_.size() == 1) return prepared().variants;
    prepared();
    variants_.assign(engine_.steps.size(), 0);
    for (size_t step = 0; step < variants_.size(); ++step)
      if (const auto& plan = plans_[segmentOf(step)]) variants_[step] = plan->variants[step];
    return variants_;
  }

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
    if (!plans_[0] || shapesDirty_)
      throw Error(ErrorCode::InvalidArgument, "shapes that are not prepared",
                  "prepare() after the inputs' shapes are set");
    return *plans_[0];
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
    for (size_t i = 0; i < plan.symbolValues.size(); ++i) {
      const EngineSymbol& symbol = engine_.symbols[i];
      const EngineTensor& input = engine_.tensors[engine_.inputs[symbol.input]];
      has += fmt::format("{}{} = {} (dimension {} of input {})", i ? ", " : "", symbol.name,
                         plan.symbolValues[i], symbol.axis, input.name);
    }
    for (size_t p = 0; p < all.size(); ++p) {
      if (profile_ >= 0 && p != static_cast<size_t>(profile_)) continue;
      needs += fmt::format("{}profile {}:", needs.empty() ? "" : "; or ", p);
      for (size_t i = 0; i < plan.symbolValues.size(); ++i)
        needs += fmt::format("{}{} from {} to {}", i ? ", " : " ", engine_.symbols[i].name,
                             all[p].symbols[i].min, all[p].symbols[i].max);
    }
    throw Error(ErrorCode::InvalidArgument, "shapes outside the profile: " + has, needs,
                "build the engine with a profile that holds these shapes");
  }

  void setAddress(void*& address, void* data) {
    version_ += address != data;
    address = data;
  }

  size_t segmentOf(size_t step) const {
    size_t k = 0;
    while (step >= state_.segments[k].last) ++k;
    return k;
  }

  std::span<void* const> argumentsOf(size_t k) const {
    return std::span(arguments_)
        .subspan(segmentArguments_[k], segmentArguments_[k + 1] - segmentArguments_[k]);
  }

  // The plan of a segment behind the first: all symbols that it needs are known.
  void planSegment(size_t k) {
    auto values = std::span(symbolValues_).first(state_.segments[k].symbols);
    if (plans_[k] && std::ranges::equal(plans_[k]->symbolValues, values)) return;
    plans_[k] = nullptr;
    planKey_.assign(1, -static_cast<int64_t>(k));  // no dim is negative
    planKey_.insert(planKey_.end(), values.begin(), values.end());
    std::shared_ptr<const ShapePlan> plan = state_.plans.find(planKey_);
    if (!plan) plan = state_.plans.insert(planKey_, makeSegmentPlan(state_, k, values));
    plans_[k] = std::move(plan);
    ++version_;
  }

  // Makes every pointer that the segment's steps get; nothing to do when a run repeats the last.
  void bind(size_t k) {
    growMemory(k);
    if (k == 0 && bound_[k] != version_) placeInputs();
    placeOutputs(k);
    if (bound_[k] == version_) return;
    const ShapePlan& plan = *plans_[k];
    auto* arena = static_cast<std::byte*>(arena_.data());
    auto* kept = static_cast<std::byte*>(kept_[k].data());
    const auto first = static_cast<int32_t>(state_.segments[k].first);
    for (int32_t i : state_.segments[k].tensors) {
      if (state_.roots[i] != i) continue;
      if (engine_.tensors[i].kind == Kind::Shape)
        pointers_[i] = const_cast<void*>(plan.contents[i]);
      else if (engine_.tensors[i].kind == Kind::Activation && state_.lives[i].first >= first)
        pointers_[i] = (plan.kept[i] ? kept : arena) + plan.places[i];
    }
    for (int32_t i : state_.segments[k].tensors)
      if (int32_t root = state_.roots[i]; root != i)
        pointers_[i] = static_cast<std::byte*>(pointers_[root]) + plan.offsets[i];
    checkOverlaps(k);
    for (size_t i = segmentArguments_[k]; i < segmentArguments_[k + 1]; ++i) {
      const int32_t tensor = argumentTensors_[i];
      arguments_[i] = tensor >= 0 ? pointers_[tensor] : tensor == kArena ? arena : nullptr;
    }
    bound_[k] = version_;
  }

  void placeInputs() {
    for (size_t i = 0; i < engine_.inputs.size(); ++i) {
      int32_t tensor = engine_.inputs[i];
      const bool state = engine_.tensors[tensor].kind == Kind::State;
      const size_t bytes = plans_[0]->bytes[tensor];
      void* data = address(state ? "state" : "input", tensor, inputAddresses_[i], bytes);
      pointers_[tensor] = staging_ ? staging_->input(i, data, bytes, state) : data;
    }
  }

  void growMemory(size_t k) {
    auto grow = [&](GrownBuffer& buffer, int64_t bytes) {
      void* before = buffer.data();
      version_ += buffer.atLeast(*state_.device, static_cast<size_t>(bytes)) != before;
    };
    grow(arena_, plans_[k]->arenaBytes);
    if (plans_[k]->keptBytes > 0) grow(kept_[k], plans_[k]->keptBytes);
  }

  // The application's memory for outputs that the segment writes, or that are copied at its end.
  void placeOutputs(size_t k) {
    for (size_t i = 0; i < engine_.outputs.size(); ++i) {
      if (state_.outputSegments[i] != k) continue;
      const int32_t tensor = engine_.outputs[i];
      const size_t bytes = plans_[k]->bytes[tensor];
      if (allocators_[i]) {
        setAddress(outputAddresses_[i], allocators_[i](bytes, plans_[k]->dimsOf(tensor)));
        checkAlignment("output", engine_.tensors[tensor], outputAddresses_[i]);
      } else if (state_.levels[tensor] > 0) {
        throw Error(ErrorCode::InvalidArgument,
                    fmt::format("no allocator for output {}", engine_.tensors[tensor].name),
                    fmt::format("one, since its shape {} depends on the inputs' data",
                                declaredShape(engine_.tensors[tensor], state_.symbolNames)),
                    "set an output allocator before the run");
      } else if (bound_[k] == version_) {
        continue;
      }
      void* data = address("output", tensor, outputAddresses_[i], bytes);
      void* place = staging_ ? staging_->output(i, data, bytes) : data;
      version_ += place != outputPointers_[i];
      outputPointers_[i] = place;
      if (engine_.tensors[tensor].kind == Kind::Output) pointers_[tensor] = place;
    }
  }

  // A tensor without elements may have no address; kernels still get one that is not null.
  void* address(const char* what, int32_t tensor, void* data, size_t bytes) const {
    if (data) return data;
    if (bytes == 0) return arena_.data();
    throw Error(ErrorCode::InvalidArgument,
                fmt::format("no memory for {} {}", what, engine_.tensors[tensor].name),
                fmt::format("{} bytes", bytes), "set its address before the run");
  }

  // Steps write outputs and states while inputs are still read. Of the memory that segment k gets.
  void checkOverlaps(size_t k) const {
    for (size_t i = 0; k == 0 && i < engine_.inputs.size(); ++i) {
      if (engine_.tensors[engine_.inputs[i]].kind != Kind::State) continue;
      for (size_t j = 0; j < i; ++j)
        checkOverlap("state", engine_.inputs[i], inputAddresses_[i], "input", engine_.inputs[j],
                     inputAddresses_[j]);
    }
    for (size_t i = 0; i < engine_.outputs.size(); ++i) {
      if (state_.outputSegments[i] != k) continue;
      for (size_t j = 0; j < engine_.inputs.size(); ++j)
        checkOverlap("output", engine_.outputs[i], outputAddresses_[i], "input", engine_.inputs[j],
                     inputAddresses_[j]);
      for (size_t j = 0; j < engine_.outputs.size(); ++j)
        if (state_.outputSegments[j] < k || (state_.outputSegments[j] == k && j < i))
          checkOverlap("output", engine_.outputs[i], outputAddresses_[i], "output",
                       engine_.outputs[j], outputAddresses_[j]);
    }
  }
  size_t bytesOf(int32_t tensor) const { return plans_[state_.levels[tensor]]->bytes[tensor]; }
  void checkOverlap(const char* written, int32_t a, const void* atA, const char* what, int32_t b,
                    const void* atB) const {
    auto beginA = reinterpret_cast<uintptr_t>(atA), beginB = reinterpret_cast<uintptr_t>(atB);
    size_t bytesA = bytesOf(a), bytesB = bytesOf(b);
    if (bytesA == 0 || bytesB == 0) return;
    if (beginA + bytesA <= beginB || beginB + bytesB <= beginA) return;
    throw Error(ErrorCode::InvalidArgument,
                fmt::format("{} {} in the memory of {} {}", written, engine_.tensors[a].name, what,
                            engine_.tensors[b].name),
                fmt::format("memory of its own for each {}", written));
  }

  RunArguments argumentsOfStep(size_t step, const ShapePlan& plan) {
    RunArguments arguments;
    arguments.stream = stream_;
    arguments.pool = state_.pool.get();
    arguments.inputs = arguments_.data() + argumentStarts_[2 * step];
    arguments.outputs = arguments_.data() + argumentStarts_[2 * step + 1];
    arguments.workspace = static_cast<std::byte*>(arena_.data()) + plan.workspaces[step];
    return arguments;
  }

  // Steps of one segment, none of which finds dims.
  template <typename After>
  void issue(size_t first, size_t last, After after) {
    if (first == last) return;
    const ShapePlan& plan = *plans_[segmentOf(first)];
    size_t step = first;
    try {
      for (; step < last; ++step) {
        plan.executables[step]->run(argumentsOfStep(step, plan));
        after(step);
      }
    } catch (Error& error) {
      error.within("step " + engine_.steps[step].name);
      throw;
    }
  }

  // Memory for a tensor whose dims its step has found.
  void* placeFound(const EngineStep& step, size_t output, std::span<const int64_t> dims) {
    const int32_t index = step.outputs.at(output);
    const EngineTensor& tensor = engine_.tensors[index];
    Found& found = found_[index];
    if (dims.size() != tensor.dims.size())
      throw Error(ErrorCode::InvalidArgument,
                  fmt::format("shape {} for {}", shapeText(dims), tensor.name),
                  declaredShape(tensor, state_.symbolNames));
    const size_t bytes = dtypeBytes(tensor.dtype, elementCount(dims));
    if (bytes > mostTensorBytes(*state_.device))
      throw Error(
          ErrorCode::OutOfMemory, fmt::format("tensor {} of {} bytes", tensor.name, bytes),
          fmt::format("at most {}, the memory that there is", mostTensorBytes(*state_.device)),
          "give smaller inputs");
    found.dims.assign(dims.begin(), dims.end());
    found.given = true;
    void* data = found.memory.atLeast(*state_.device, bytes);
    version_ += data != pointers_[index];
    return pointers_[index] = data;
  }

  // Runs a step that finds its outputs' dims, and with them the values of symbols.
  void find(size_t index, const ShapePlan& plan) {
    const EngineStep& step = engine_.steps[index];
    for (int32_t output : step.outputs) found_[output].given = false;
    RunArguments::Allocate allocate = [&](size_t output, std::span<const int64_t> dims) {
      return placeFound(step, output, dims);
    };
    try {
      RunArguments arguments = argumentsOfStep(index, plan);
      arguments.allocate = &allocate;
      if (step.control == EngineStep::Control::None) {
        plan.executables[index]->run(arguments);
      } else {
        std::vector<ControlStep::Input>& inputs = controlInputs_;
        inputs.clear();
        for (size_t i = 0; i < step.inputs.size(); ++i)
          inputs.push_back(
              {const_cast<void*>(arguments.inputs[i]),
               step.inputs[i] < 0 ? std::span<const int64_t>() : plan.dimsOf(step.inputs[i])});
        if (!controls_[index])
          controls_[index] = std::make_unique<ControlStep>(state_, step, *stream_);
        controls_[index]->run(inputs, allocate);
      }
      learn(step);
    } catch (Error& error) {
      error.within("step " + step.name);
      throw;
    }
  }

  void learn(const EngineStep& step) {
    while (symbolValues_.size() < engine_.symbols.size()) {
      const EngineSymbol& symbol = engine_.symbols[symbolValues_.size()];
      if (!std::ranges::count(step.outputs, symbol.tensor)) break;
      const Found& found = found_[symbol.tensor];
      symbolValues_.push_back(found.given ? found.dims[symbol.axis] : 0);
    }
    for (int32_t output : step.outputs) {
      const EngineTensor& tensor = engine_.tensors[output];
      const Found& found = found_[output];
      for (size_t axis = 0; axis < tensor.dims.size(); ++axis)
        if (!found.given || tensor.dims[axis].evaluate(symbolValues_) != found.dims[axis])
          throw Error(ErrorCode::InvalidArgument,
                      fmt::format("{} for {}", found.given ? shapeText(found.dims) : "no memory",
                                  tensor.name),
                      fmt::format("a shape of {}", declaredShape(tensor, state_.symbolNames)),
                      "give inputs of other data");
    }
  }

  // `issueSteps` issues the steps [first, last) of segment k.
  template <typename Issue, typename After>
  void runSteps(Issue issueSteps, After after) {
    prepare();
    state_.device->activate();
    symbolValues_.assign(plans_[0]->symbolValues.begin(), plans_[0]->symbolValues.end());
    for (size_t k = 0; k < plans_.size(); ++k) {
      const LoadedEngine::State::Segment& segment = state_.segments[k];
      if (k > 0) planSegment(k);
      bind(k);
      if (k == 0 && staging_) staging_->copyIn(*stream_);
      issueSteps(k, segment.first, segment.last - segment.finds);
      if (!segment.finds) continue;
      find(segment.last - 1, *plans_[k]);
      after(segment.last - 1);
    }
    const ShapePlan& last = *plans_.back();
    for (const LoadedEngine::State::Copy& copy : state_.copies)
      if (last.bytes[copy.source] > 0)
        state_.device->copyOnDevice(outputPointers_[copy.output], pointers_[copy.source],
                                    last.bytes[copy.source], *stream_);
    if (staging_) staging_->copyOut(*stream_);
    stream_->synchronize();
    if (staging_) staging_->finish();
  }
  template <typename After>
  void runSegments(After after) {
    runSteps([&](size_t, size_t first, size_t last) { issue(first, last, after); }, after);
  }

  // A tensor whose dims its step finds.
  struct Found {
    GrownBuffer memory;
    std::vector<int64_t> dims;
    bool given = false;  // in this run
  };

  std::shared_ptr<const LoadedEngine> keepAlive_;
  const LoadedEngine::State& state_;
  const EngineData& engine_;
  std::unique_ptr<Stream> ownStream_;
  Stream* stream_;

  int profile_ = -1;
  std::vector<int64_t> inputDims_;  // of all inputs, one after another
  std::vector<size_t> inputStarts_;
  std::vector<char> shapeSet_;
  bool shapesDirty_ = true;
  std::vector<std::shared_ptr<const ShapePlan>> plans_;  // of each segment
  std::vector<int64_t> symbolValues_;                    // known so far in this run
  std::vector<int64_t> planKey_;

  std::vector<void*> inputAddresses_, outputAddresses_;  // the application's
  std::vector<void*> outputPointers_;                    // the device's
  std::vector<Allocator> allocators_;                    // of outputs
  uint64_t version_ = 1;                                 // of all that pointers follow from
  std::vector<uint64_t> bound_;  // the version that each segment's pointers are of
  GrownBuffer arena_;
  std::vector<GrownBuffer> kept_;                       // of each segment
  std::vector<Found> found_;                            // of each tensor
  std::vector<void*> pointers_;                         // of each tensor
  std::vector<int32_t> argumentTensors_;                // of all steps, inputs then outputs
  std::vector<size_t> argumentStarts_;                  // two each step
  std::vector<void*> arguments_;                        // with the arena behind each segment's
  std::vector<size_t> segmentArguments_;                // where each segment's start, and the end
  std::vector<std::unique_ptr<ControlStep>> controls_;  // of each step
  std::vector<ControlStep::Input> controlInputs_;
  std::vector<int> variants_;                   // of each step, where segments have their own
  std::vector<std::unique_ptr<Event>> events_;  // between steps, when profiled
  // Where the device shares no memory with the host.
  std::optional<Staging> staging_;
  bool partsTimed_ = false;
  std::vector<Recordings> recordings_;  // of each segment
};

}  // namespace

std::unique_ptr<ExecutionContext> makeContext(std::shared_ptr<const LoadedEngine> keepAlive,
                                              const LoadedEngine::State& state) {
  return std::make_unique<Context>(std::move(keepAlive), state, nullptr);
}

std::unique_ptr<ExecutionContext> makeBodyContext(const LoadedEngine::State& state,
                                                  Stream& stream) {
  return std::make_unique<Context>(nullptr, state, &stream);
}

}  // namespace carnot
