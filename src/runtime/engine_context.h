#pragma once

#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "base/error.h"
#include "runtime/control.h"
#include "runtime/grown_buffer.h"
#include "runtime/recordings.h"
#include "runtime/shape_plan.h"
#include "runtime/staging.h"

namespace carnot {

// The context of an engine, or of a body in one. Its parts lie in files of their own: shapes,
// memory, steps that find dims; context.cpp runs.
class EngineContext final : public ExecutionContext {
 public:
  // `stream`: null for one of its own.
  EngineContext(std::shared_ptr<const LoadedEngine> keepAlive, const LoadedEngine::State& state,
                Stream* stream);
  ~EngineContext() override;

  void setProfile(int profile) override;
  void setInputShape(int index, std::span<const int64_t> dims) override;
  void setInputAddress(int index, const void* data) override;
  void setOutputAddress(int index, void* data) override;
  void setOutputAllocator(int index, Allocator allocator) override;
  void prepare() override;
  std::span<const int64_t> outputShape(int index) override;
  std::span<const int64_t> tensorShape(int tensor) override;
  void run() override;
  void enqueue(void* native) override;
  RunParts runParts() override;
  void runProfiled(std::vector<StepTime>& times) override;
  void runWatched(const Watcher& watcher) override;
  Memory memory() override;
  StepCost stepCost(int step) override;
  std::span<const int> chosenVariants() override;

 private:
  using Kind = EngineTensor::Kind;

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
  void setAddress(void*& address, void* data) {
    version_ += address != data;
    address = data;
  }
  size_t segmentOf(size_t step) const {
    size_t k = 0;
    while (step >= state_.segments[k].last) ++k;
    return k;
  }
  size_t bytesOf(int32_t tensor) const { return plans_[state_.levels[tensor]]->bytes[tensor]; }

  // Inputs without symbols need not be told their shape.
  void setFixedShapes();
  const ShapePlan& prepared() const;
  void checkProfiles(const ShapePlan& plan) const;
  // The plan of a segment behind the first: all symbols that it needs are known.
  void planSegment(size_t k);
  // Makes every pointer that the segment's steps get; nothing to do when a run repeats the last.
  void bind(size_t k);
  void placeInputs();
  void growMemory(size_t k);
  // The application's memory for outputs that the segment writes, or that are copied at its end.
  void placeOutputs(size_t k);
  // All memory of segment k's steps that may lie elsewhere in another run, as many in each.
  void listPlaces(size_t k);
  // A tensor without elements may have no address; kernels still get one that is not null.
  void* address(const char* what, int32_t tensor, void* data, size_t bytes) const;
  // Steps write outputs and states while inputs are still read. Of the memory that segment k gets.
  void checkOverlaps(size_t k) const;
  void checkOverlap(const char* written, int32_t a, const void* atA, const char* what, int32_t b,
                    const void* atB) const;
  RunArguments argumentsOfStep(size_t step, const ShapePlan& plan);
  // Of a step that runs in slices, from this image of the batch on; until the next call.
  RunArguments argumentsOfTurn(size_t step, const ShapePlan& plan, int64_t firstImage);
  // Plans without slices from the next run on, so that steps leave whole tensors; or with them.
  void planWhole(bool whole) {
    whole_ = whole;
    shapesDirty_ = true;
  }
  // Steps of one segment, none of which finds dims.
  template <typename After>
  void issue(size_t first, size_t last, After after);
  // Memory for a tensor whose dims its step has found.
  void* placeFound(const EngineStep& step, size_t output, std::span<const int64_t> dims);
  // Runs a step that finds its outputs' dims, and with them the values of symbols.
  void find(size_t index, const ShapePlan& plan);
  void learn(const EngineStep& step);
  // `issueSteps` issues the steps [first, last) of segment k. `waits`: until all is done; else the
  // call returns when all is issued, if no memory of the host takes part.
  template <typename Issue, typename After>
  void runSteps(bool waits, Issue issueSteps, After after);
  template <typename After>
  void runSegments(After after);
  void runRecorded(bool waits);

  // While it lives, work goes to another stream.
  class Issuing {
   public:
    Issuing(EngineContext& context, Stream& stream)
        : context_(context), before_(std::exchange(context.stream_, &stream)) {}
    ~Issuing() { context_.stream_ = before_; }
    Issuing(const Issuing&) = delete;
    Issuing& operator=(const Issuing&) = delete;

   private:
    EngineContext& context_;
    Stream* before_;
  };

  // A tensor whose dims its step finds.
  struct Found {
    GrownBuffer memory;
    std::vector<int64_t> dims;
    bool given = false;  // in this run
  };

  std::shared_ptr<const LoadedEngine> keepAlive_;
  const LoadedEngine::State& state_;
  const EngineData& engine_;
  std::unique_ptr<Stream> ownStream_, caller_;
  Stream* stream_;  // that work goes to
  std::unique_ptr<Event> done_;
  bool pending_ = false;  // work may be under way; `done_` comes behind it

  int profile_ = -1;
  std::vector<int64_t> inputDims_;  // of all inputs, one after another
  std::vector<size_t> inputStarts_;
  std::vector<char> shapeSet_;
  bool shapesDirty_ = true;
  bool whole_ = false;
  std::vector<std::shared_ptr<const ShapePlan>> plans_;  // of each segment
  std::vector<int64_t> symbolValues_;                    // known so far in this run
  std::vector<int64_t> planKey_;

  std::vector<void*> inputAddresses_, outputAddresses_;  // the application's
  std::vector<void*> outputPointers_;                    // the device's
  std::vector<Allocator> allocators_;                    // of outputs
  uint64_t version_ = 1;                                 // of all that pointers follow from
  std::vector<uint64_t> bound_;  // the version that each segment's pointers are of
  GrownBuffer arena_;
  std::vector<GrownBuffer> kept_;         // of each segment
  std::vector<Found> found_;              // of each tensor
  std::vector<void*> pointers_;           // of each tensor
  std::vector<int32_t> argumentTensors_;  // of all steps, inputs then outputs
  std::vector<size_t> argumentStarts_;    // two each step
  std::vector<void*> arguments_, turnArguments_;
  std::vector<size_t> segmentArguments_;                // where each segment's start, and the end
  std::vector<std::unique_ptr<ControlStep>> controls_;  // of each step
  std::vector<ControlStep::Input> controlInputs_;
  std::vector<int> variants_;                   // of each step, where segments have their own
  std::vector<std::unique_ptr<Event>> events_;  // between steps, when profiled
  // Where the device shares no memory with the host.
  std::optional<Staging> staging_;
  bool partsTimed_ = false;
  std::vector<Recordings> recordings_;            // of each segment
  std::vector<std::vector<MemoryRange>> places_;  // of each segment
};

}  // namespace carnot
