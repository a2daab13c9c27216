#pragma once

#include <carnot/error.h>
#include <carnot/tensor.h>

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace carnot {

class Context;

// "0.1.0": of the library that runs.
const char* version();

// Whether a file begins as an engine does, or is named like one: .engine, .plan. One that cannot be
// read goes by its name.
bool isEngineFile(const std::string& path);

struct LoadOptions {
  // Hash every weight now. The engine's description is always checked; weights are mapped and read
  // when first used.
  bool verifyWeights = false;
  // 0: CARNOT_THREADS if set, else what the engine was tuned for, at most the cores allowed.
  int threads = 0;
};

// The dims that an input may have: one entry for each dimension, min <= opt <= max.
struct ShapeRange {
  std::vector<int64_t> min, opt, max;
};

// What an engine says of itself.
struct EngineInfo {
  struct Range {
    std::string symbol;
    int64_t min = 0, opt = 0, max = 0;
  };
  struct Profile {
    std::vector<Range> ranges;
    bool enforced = false;  // shapes outside are refused; else only slower
  };
  std::string producer;  // "carnot 0.1.0"
  std::string modelName;
  std::string device;      // that it was tuned on
  std::string deviceKind;  // "cpu"
  std::string isa;         // instruction sets that it needs: "avx2+avx512"
  int tunedThreads = 1;
  int threads = 1;  // that it runs with
  size_t layers = 0;
  size_t weightBytes = 0;
  std::vector<Profile> profiles;
};

// A network rebuilt for a machine, ready to run: a handle to something immutable, cheap to copy,
// shared by any number of contexts and threads.
class Engine {
 public:
  Engine() = default;  // no engine: only bool and assignment may be used

  // Maps the file. Throws Error: Io; InvalidModel when it is damaged or no engine; Incompatible
  // when its format, instruction set, device or kernels are not this program's.
  static Engine load(const std::string& path, const LoadOptions& options = {});
  // From the bytes of such a file, which are copied.
  static Engine deserialize(std::span<const std::byte> bytes, const LoadOptions& options = {});

  explicit operator bool() const { return state_ != nullptr; }

  // All or nothing: a failure leaves what was there. Throws Error (Io).
  void save(const std::string& path) const;
  std::vector<std::byte> serialize() const;

  const std::vector<TensorInfo>& inputs() const;
  const std::vector<TensorInfo>& outputs() const;
  // Tensors that keep their contents from run to run in the application's memory: runs read and
  // write them. Key-value caches are such.
  const std::vector<TensorInfo>& states() const;
  // Position of a name. Throws Error (InvalidArgument) naming the nearest one.
  int inputIndex(std::string_view name) const;
  int stateIndex(std::string_view name) const;
  int outputIndex(std::string_view name) const;
  EngineInfo info() const;
  // Dims of every input and state: as given, else following the symbols of those given, else at the
  // first profile's optimum. What benchmarks use. Throws Error (InvalidArgument) for a name or rank
  // that is no input's.
  std::map<std::string, std::vector<int64_t>> typicalShapes(
      const std::map<std::string, std::vector<int64_t>>& given = {}) const;

  // What a profile allows of each input and state; of one that is not enforced, what it was tuned
  // for. Throws Error (InvalidArgument) when there is no such profile.
  std::map<std::string, ShapeRange> profileShapes(int profile) const;

  // What the builder considered for each layer and why it chose, as JSON: "device", "points"
  // (symbol values tuned at) and "steps", each with "name", "operators", "origins" (ONNX nodes),
  // "inputs", "outputs", "chosen" (a candidate for each point), "candidates" ("kernel",
  // "configuration", "times" in microseconds) and "refusals" ("kernel", "reason").
  std::string explain() const;

  Context createContext() const;

  struct State;
  explicit Engine(std::shared_ptr<const State> state) : state_(std::move(state)) {}
  const State& state() const { return *state_; }

 private:
  std::shared_ptr<const State> state_;
};

}  // namespace carnot
