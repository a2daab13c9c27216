#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "devices/device.h"
#include "engine/engine.h"

namespace carnot {

class ExecutionContext;
class Kernel;

struct BindOptions {
  // 0: CARNOT_THREADS if set, else what the engine was tuned for, at most the cores allowed.
  int threads = 0;
  // Where the kernels that steps name are looked up; null: this build's list.
  const Kernel* (*findKernel)(std::string_view name) = nullptr;
};

// A loaded engine with its kernels bound: immutable, shared by any number of contexts and threads.
class LoadedEngine : public std::enable_shared_from_this<LoadedEngine> {
 public:
  // Throws Error (Incompatible), saying both sides, when the host lacks an instruction set that the
  // engine needs or this build a kernel or its revision.
  static std::shared_ptr<LoadedEngine> create(std::shared_ptr<const EngineData> engine,
                                              const BindOptions& options = {});
  ~LoadedEngine();

  const EngineData& engine() const;
  int threads() const;
  std::unique_ptr<ExecutionContext> createContext() const;

  struct State;  // loaded_engine.h

 private:
  LoadedEngine();
  std::unique_ptr<State> state_;
};

// What a listener hears of each step of one run.
struct StepTime {
  int step = 0;
  double milliseconds = 0;
};

// What a step must do at the shapes set, however its kernel does it.
struct StepCost {
  double flops = 0;  // a multiply-add counts two
  double bytes = 0;  // that enter or leave the step, each once
};

// One inference at a time; several contexts run at once. Shapes are set, then addresses, then run.
class ExecutionContext {
 public:
  virtual ~ExecutionContext() = default;

  virtual void setProfile(int profile) = 0;
  // Dims of input `index` (position in EngineData::inputs). Throws Error (InvalidArgument) naming
  // the input, what it has and what is needed: rank, fixed dims, ranges of an enforced profile.
  virtual void setInputShape(int index, std::span<const int64_t> dims) = 0;
  virtual void setInputAddress(int index, const void* data) = 0;
  virtual void setOutputAddress(int index, void* data) = 0;
  // In place of an address: called in every run, when the output's dims are known, for memory of so
  // many bytes.
  using Allocator = std::function<void*(size_t bytes, std::span<const int64_t> dims)>;
  virtual void setOutputAllocator(int index, Allocator allocator) = 0;
  // Resolves symbols, guards, memory and kernels for the shapes set; a shape seen before costs
  // microseconds. Throws Error (InvalidArgument) when an input's shape is missing, symbols
  // disagree, a guard fails or no enforced profile admits the shapes.
  virtual void prepare() = 0;
  // After prepare: dims of output `index`; where they depend on data, after the run. Throws Error
  // (InvalidArgument) before.
  virtual std::span<const int64_t> outputShape(int index) = 0;
  // Dims of any engine tensor under the shapes set; the same goes for them.
  virtual std::span<const int64_t> tensorShape(int tensor) = 0;
  // Runs every step. Every address must be set. Allocates nothing once a shape has run.
  virtual void run() = 0;
  // As run, in the order of a stream of the device, by its native handle. Returns when all is
  // issued, where all addresses are of the device's memory and no dim depends on data; they must
  // stay until the stream is through. A device without such handles runs at once.
  virtual void enqueue(void* stream) = 0;
  // Milliseconds of copies to the device, of all steps, and of copies from it. On a device of its
  // own by its clock; on the CPU there are no copies.
  struct RunParts {
    double copyIn = 0, compute = 0, copyOut = 0;
  };
  virtual RunParts runParts() = 0;  // as run
  // Runs with each step timed.
  virtual void runProfiled(std::vector<StepTime>& times) = 0;
  // Calls back with each step's output while it is live (compare tools); tensors are in engine
  // layout.
  using Watcher = std::function<void(int step, int tensor, const TensorView& view)>;
  virtual void runWatched(const Watcher& watcher) = 0;

  struct Memory {
    int64_t arenaBytes = 0;       // activations and workspace at the shapes set
    int64_t lowerBoundBytes = 0;  // the most bytes that live at once
  };
  virtual Memory memory() = 0;
  virtual StepCost stepCost(int step) = 0;
  // Which variant each step uses at the shapes set.
  virtual std::span<const int> chosenVariants() = 0;
};

}  // namespace carnot
