#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "kernels/kernel.h"
#include "runtime/grown_buffer.h"
#include "runtime/loaded_engine.h"

namespace carnot {

// One step with control in one context: runs its bodies, each in a context of its own.
class ControlStep {
 public:
  struct Input {
    void* data = nullptr;  // null: left out
    std::span<const int64_t> dims;
  };

  ControlStep(const LoadedEngine::State& state, const EngineStep& step, Stream& stream);
  // Gives every output by `allocate` and fills it. Allocates nothing while an iteration's shapes
  // are those of an earlier one and fit its memory.
  void run(std::span<const Input> inputs, const RunArguments::Allocate& allocate);

 private:
  using Dims = std::vector<int64_t>;
  // What an iteration gives to the next, or adds to an output.
  struct Slot {
    GrownBuffer memory[2];
    Dims dims[2];
    size_t used = 0;  // bytes of earlier iterations: those that add
    int64_t count = 0;
  };

  void runIf(std::span<const Input> inputs);
  void runLoop(std::span<const Input> inputs, const RunArguments::Allocate& allocate);
  void bindLoop();
  void* placeCarried(size_t index, size_t bytes, std::span<const int64_t> dims);
  void* placeAdded(size_t index, size_t bytes, std::span<const int64_t> dims);
  void give(size_t output, const void* data, std::span<const int64_t> dims,
            const RunArguments::Allocate& allocate);
  void giveAdded(size_t output, const RunArguments::Allocate& allocate);
  void set(ExecutionContext& body, size_t index, const void* data, std::span<const int64_t> dims);
  template <typename T>
  T read(const void* data);
  template <typename T>
  void write(void* data, T value);

  const LoadedEngine::State& state_;
  const EngineStep& step_;
  Stream& stream_;
  std::vector<std::unique_ptr<ExecutionContext>> bodies_;
  const RunArguments::Allocate* allocate_ = nullptr;  // of the run
  std::vector<Slot> slots_;                           // of each output of a loop
  GrownBuffer iteration_, condition_, next_;
  Dims added_;
  int written_ = 0;  // which of a slot's two an iteration writes
};

}  // namespace carnot
