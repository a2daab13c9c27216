#include "runtime/context.h"

#include <algorithm>
#include <chrono>

#include "base/error.h"
#include "runtime/engine_context.h"

namespace carnot {

EngineContext::EngineContext(std::shared_ptr<const LoadedEngine> keepAlive,
                             const LoadedEngine::State& state, Stream* stream)
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
  }
  segmentArguments_.push_back(argumentTensors_.size());
  arguments_.resize(argumentTensors_.size());
  size_t most = 0;
  for (const EngineStep& step : engine_.steps)
    most = std::max(most, step.inputs.size() + step.outputs.size());
  turnArguments_.resize(most);
  for (size_t i = 0; i < pointers_.size(); ++i)
    if (engine_.tensors[i].kind == Kind::Constant)
      pointers_[i] = const_cast<void*>(state_.weights[engine_.tensors[i].weight]);
  if (state_.device->sharesHostMemory()) return;
  staging_.emplace(*state_.device, engine_.inputs.size(), engine_.outputs.size());
  if (stream) return;  // a body's addresses change with every run
  places_.resize(state_.segments.size());
  for (const LoadedEngine::State::Segment& segment : state_.segments)
    recordings_.emplace_back(*state_.device, segment.first, segment.last - segment.finds,
                             [this](size_t first, size_t last, Stream& to) {
                               const Issuing issuing(*this, to);
                               issue(first, last, [](size_t) {});
                             });
}

EngineContext::~EngineContext() {
  if (!pending_) return;
  try {
    done_->synchronize();
  } catch (const Error&) {
    // The device is lost, and nothing runs on it any more.
  }
}

template <typename After>
void EngineContext::issue(size_t first, size_t last, After after) {
  if (first == last) return;
  const ShapePlan& plan = *plans_[segmentOf(first)];
  size_t step = first;
  try {
    auto slices = plan.slices.begin();
    while (step < last) {
      if (slices == plan.slices.end() || step < slices->first) {
        plan.executables[step]->run(argumentsOfStep(step, plan));
        after(step++);
        continue;
      }
      for (int64_t turn = 0; turn < slices->turns; ++turn)
        for (step = slices->first; step < slices->last; ++step) {
          plan.executables[step]->run(argumentsOfTurn(step, plan, turn * slices->images));
          after(step);
        }
      ++slices;
    }
  } catch (Error& error) {
    error.within("step " + engine_.steps[step].name);
    throw;
  }
}

template <typename Issue, typename After>
void EngineContext::runSteps(bool waits, Issue issueSteps, After after) {
  prepare();
  state_.device->activate();
  if (pending_) stream_->wait(*done_);
  symbolValues_.assign(plans_[0]->symbolValues.begin(), plans_[0]->symbolValues.end());
  for (size_t k = 0; k < plans_.size(); ++k) {
    const LoadedEngine::State::Segment& segment = state_.segments[k];
    if (k > 0) planSegment(k);
    bind(k);
    if (k == 0 && staging_) {
      if (!waits && staging_->usesHost()) stream_->synchronize();  // what writes there
      staging_->copyIn(*stream_);
    }
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
  if (!waits && !(staging_ && staging_->usesHost())) {
    if (!done_) done_ = state_.device->createEvent();
    done_->record(*stream_);
    pending_ = true;
    return;
  }
  stream_->synchronize();
  pending_ = false;
  if (staging_) staging_->finish();
}

template <typename After>
void EngineContext::runSegments(After after) {
  runSteps(
      true, [&](size_t, size_t first, size_t last) { issue(first, last, after); }, after);
}

void EngineContext::runRecorded(bool waits) {
  runSteps(
      waits,
      [this](size_t k, size_t, size_t) {
        recordings_[k].run(plans_[k], places_[k], *stream_, *ownStream_);
      },
      [](size_t) {});
}

void EngineContext::run() {
  if (recordings_.empty())
    runSegments([](size_t) {});
  else
    runRecorded(true);
}

void EngineContext::enqueue(void* native) {
  if (recordings_.empty()) return run();
  if (!caller_ || caller_->native() != native) caller_ = state_.device->streamAt(native);
  // Where dims are found on the way the host waits in any case, and so it does at the end.
  if (recordings_.size() > 1) {
    caller_->synchronize();
    return run();
  }
  const Issuing issuing(*this, *caller_);
  runRecorded(false);
}

ExecutionContext::RunParts EngineContext::runParts() {
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

void EngineContext::runProfiled(std::vector<StepTime>& times) {
  size_t steps = engine_.steps.size();
  times.resize(steps);
  std::vector<size_t> order;  // of the steps: those in slices run several times
  auto record = [&](size_t event) {
    if (event == events_.size()) events_.push_back(state_.device->createEvent());
    events_[event]->record(*stream_);
  };
  record(0);
  runSegments([&](size_t step) {
    order.push_back(step);
    record(order.size());
  });
  for (size_t step = 0; step < steps; ++step) times[step] = {static_cast<int>(step), 0};
  for (size_t i = 0; i < order.size(); ++i)
    times[order[i]].milliseconds += events_[i + 1]->millisecondsSince(*events_[i]);
}

void EngineContext::runWatched(const Watcher& watcher) {
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
  prepare();
  if (plans_[0]->slices.empty()) return runSegments(watch);
  struct Whole {  // while it lives, steps leave whole tensors
    explicit Whole(EngineContext& context) : context(context) { context.planWhole(true); }
    ~Whole() { context.planWhole(false); }
    EngineContext& context;
  };
  {
    const Whole whole(*this);
    runSegments(watch);
  }
  prepare();
}

RunArguments EngineContext::argumentsOfStep(size_t step, const ShapePlan& plan) {
  RunArguments arguments;
  arguments.stream = stream_;
  arguments.pool = state_.pool.get();
  arguments.inputs = arguments_.data() + argumentStarts_[2 * step];
  arguments.outputs = arguments_.data() + argumentStarts_[2 * step + 1];
  arguments.workspace = static_cast<std::byte*>(arena_.data()) + plan.workspaces[step];
  return arguments;
}

RunArguments EngineContext::argumentsOfTurn(size_t step, const ShapePlan& plan,
                                            int64_t firstImage) {
  RunArguments arguments = argumentsOfStep(step, plan);
  const size_t inputs = argumentStarts_[2 * step], outputs = argumentStarts_[2 * step + 1];
  const size_t count = outputs - inputs + engine_.steps[step].outputs.size();
  for (size_t i = 0; i < count; ++i) {
    const int32_t tensor = argumentTensors_[inputs + i];
    turnArguments_[i] = arguments_[inputs + i];
    if (tensor >= 0)
      turnArguments_[i] = static_cast<std::byte*>(turnArguments_[i]) +
                          static_cast<size_t>(firstImage) * plan.imageBytes[tensor];
  }
  arguments.inputs = turnArguments_.data();
  arguments.outputs = turnArguments_.data() + (outputs - inputs);
  return arguments;
}

std::unique_ptr<ExecutionContext> makeContext(std::shared_ptr<const LoadedEngine> keepAlive,
                                              const LoadedEngine::State& state) {
  return std::make_unique<EngineContext>(std::move(keepAlive), state, nullptr);
}

std::unique_ptr<ExecutionContext> makeBodyContext(const LoadedEngine::State& state,
                                                  Stream& stream) {
  return std::make_unique<EngineContext>(nullptr, state, &stream);
}

}  // namespace carnot
