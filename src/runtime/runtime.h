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

// A loaded engine with its kernels bound: immutable, shared by any number of contexts and threads.
class LoadedEngine : public std::enable_shared_from_this<LoadedEngine> {
 public:
  // Throws Error (Incompatible) when the host lacks an instruction set that the engine needs,
  // saying both. threads 0: what the engine was tuned for.
  static std::shared_ptr<LoadedEngine> create(std::shared_ptr<const EngineData> engine,
                                              int threads = 0);
  ~LoadedEngine();

  const EngineData& engine() const;
  int threads() const;
  std::shared_ptr<ExecutionContext> createContext();

 private:
  friend class ExecutionContext;
  struct State;
  std::unique_ptr<State> state_;
};

// What a listener hears of each step of one run.
struct StepTime {
  int step = 0;
  double milliseconds = 0;
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
  // Resolves symbols, guards, memory and kernels for the shapes set; a shape seen before costs
  // microseconds. Throws when an input's shape is missing or symbols disagree.
  virtual void prepare() = 0;
  // After prepare: dims of output `index`.
  virtual std::span<const int64_t> outputShape(int index) = 0;
  // Dims of any engine tensor under the shapes set.
  virtual std::span<const int64_t> tensorShape(int tensor) = 0;
  // Runs every step. Every address must be set. Allocates nothing once a shape has run.
  virtual void run() = 0;
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
  // Which variant each step uses at the shapes set.
  virtual std::span<const int> chosenVariants() = 0;
};

}  // namespace carnot
