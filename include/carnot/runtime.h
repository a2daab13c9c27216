#pragma once

#include <carnot/engine.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace carnot {

// One inference at a time: shapes, then addresses, then run. Holds the memory between layers.
// Several contexts of one engine run at once, each on its own thread; the results are the same bits
// as one after another. Inputs and outputs are counted in the order of Engine::inputs and outputs.
class Context {
 public:
  Context(Context&&) noexcept;
  Context& operator=(Context&&) noexcept;
  ~Context();

  const Engine& engine() const;

  // Which profile's ranges hold; -1, the default: any that admits the shapes.
  void setProfile(int profile);
  // Inputs of fixed shape need none. Throws Error (InvalidArgument) with both shapes.
  void setInputShape(int input, std::span<const int64_t> dims);
  void setInputShape(std::string_view input, std::span<const int64_t> dims);
  // Dims of an output under the shapes set. Throws Error (InvalidArgument) when shapes are missing,
  // contradict each other or lie outside the profile, and for an output that dependsOnData before
  // the run that decides. A shape seen before costs microseconds.
  std::span<const int64_t> outputShape(int output);
  std::span<const int64_t> outputShape(std::string_view output);

  // Dense row-major memory of the shape set and the declared type, aligned to one element; inputs
  // and outputs may not overlap. It must stay until the run has ended.
  void setInput(int input, const void* data);
  void setInput(std::string_view input, const void* data);
  void setOutput(int output, void* data);
  void setOutput(std::string_view output, void* data);
  // In place of an address, for outputs that depend on data in any case: asked in every run, once
  // the dims are known, for memory of so many bytes, aligned as above. What it throws ends the run.
  using OutputAllocator = std::function<void*(size_t bytes, std::span<const int64_t> dims)>;
  void setOutputAllocator(int output, OutputAllocator allocator);
  void setOutputAllocator(std::string_view output, OutputAllocator allocator);

  // A state's dims and memory, as for inputs. Each run reads it and leaves it changed; nothing else
  // may touch it meanwhile, and contexts that share one take turns by their caller. Its first
  // contents are the application's to set. Where the engine's device has memory of its own, an
  // address that it cannot reach is copied there and back at every run.
  void setStateShape(int state, std::span<const int64_t> dims);
  void setStateShape(std::string_view state, std::span<const int64_t> dims);
  void setState(int state, void* data);
  void setState(std::string_view state, void* data);

  // Returns when the outputs are written. Allocates no memory once a shape has run.
  void run();
  // As run, in the order of a stream of the engine's device: a GPU's by its driver's handle
  // (CUstream; null: the default stream). Returns when the work is issued where all memory is the
  // device's and no output depends on data; it must stay, and shapes and addresses may be changed
  // for the next run. Elsewhere, as on the CPU, it returns when the outputs are written.
  void enqueue(void* stream);

  // Milliseconds of a run's parts: copying inputs to the device, computing, copying outputs back.
  // By the device's clock where it has its own; on the CPU computing is all.
  struct Parts {
    double copyIn = 0, compute = 0, copyOut = 0;
  };
  Parts runParts();  // as run

  // As run, telling of each layer and the milliseconds it took, in order, after the last.
  void runTimed(const std::function<void(std::string_view layer, double milliseconds)>& listener);

  // Sees what each layer wrote, right after it ran and before the memory is used again. `dims` are
  // those stored: blocked layouts have one more than the tensor.
  struct LayerOutput {
    std::string_view layer, tensor, layout;    // "plain", "channels_last", "blocked16"
    std::string_view operators, kernel;        // "Conv+Relu", "cpu/conv/direct"
    std::span<const std::string> origins;      // ONNX nodes
    std::span<const std::string_view> inputs;  // tensors that it reads, without constants
    DType dtype;
    std::span<const int64_t> shape, dims;
    const void* data;
  };
  void runWatched(const std::function<void(const LayerOutput&)>& watcher);

  // Memory between layers at the shapes set, and the least that any placement needs, in bytes.
  struct Memory {
    int64_t arenaBytes = 0, lowerBoundBytes = 0;
  };
  Memory memory();

  struct State;
  explicit Context(std::unique_ptr<State> state);
  State& state() { return *state_; }

 private:
  std::unique_ptr<State> state_;
};

}  // namespace carnot
