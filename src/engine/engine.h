#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/dim.h"
#include "base/layout.h"
#include "base/tensor.h"

namespace carnot {

// An engine as plain data: what plan emits, the file holds and the runtime executes.

// A Dim compiled to postfix code over symbol indices. Pairs of (DimOp, operand).
enum class DimOp : int64_t { Constant, Symbol, Add, Mul, FloorDiv, Max };
struct DimProgram {
  std::vector<int64_t> code;

  static DimProgram compile(const Dim& dim, std::span<const std::string> symbols);
  // Throws Error (InvalidModel) on a code that reads outside its stack or the symbols.
  void validate(size_t symbolCount) const;
  // After validate. Throws Error (InvalidArgument) when these values overflow 64 bits or divide by
  // 0.
  int64_t evaluate(std::span<const int64_t> symbolValues) const;
  std::optional<int64_t> constant() const;                // the value when it is one number
  std::optional<int32_t> symbol() const;                  // the symbol when it is exactly one
  Dim toDim(std::span<const std::string> symbols) const;  // after validate; for messages
  friend bool operator==(const DimProgram&, const DimProgram&) = default;
};

// A name of the shape language. Its value is read off an input's dims when shapes are set, or off
// those of a Found tensor once its step ran. Symbols of inputs come first, then those of tensors
// in the order of their steps.
struct EngineSymbol {
  std::string name;
  int32_t input = 0, axis = 0;  // where setInputShape finds it
  int32_t tensor = -1;          // else axis `axis` of this tensor
};

// Ranges of the symbols, in their order. Enforced ranges refuse shapes outside; others only say
// what was tuned.
struct EngineProfile {
  struct Range {
    int64_t min = 0, opt = 0, max = 0;
    friend bool operator==(const Range&, const Range&) = default;
  };
  std::vector<Range> symbols;
  bool enforced = false;
};

struct EngineGuard {
  DimProgram a, b;
  std::string what;
};

struct EngineTensor {
  enum class Kind : uint8_t {
    Input,       // the application's memory; plain layout
    Output,      // the application's memory; plain layout
    Activation,  // placed in the context's arena
    Constant,    // section `weight`
    Shape,       // integer or Bool contents computed from the symbols when shapes are set
    Packed,      // a constant of which kernels hold their own form: no memory, in regionInputs only
    State,       // the application's memory, read and written from run to run; plain layout
    Found,       // memory that its step asks for once it knows the dims, which depend on data
  };
  std::string name;
  Kind kind = Kind::Activation;
  DType dtype = DType::F32;
  Layout layout;
  std::vector<DimProgram> dims;      // logical
  int32_t weight = -1;               // Constant
  std::vector<DimProgram> contents;  // Shape
  // An Activation may be a view: the bytes of tensor `viewOf` (itself no view; of any kind, but
  // only Activation, Output and State are written to) from `viewOffset` bytes on. So a step that
  // writes a view of an Output writes the application's memory. An Output with `viewOf` set is a
  // copy: the runtime fills the application's memory from that tensor after the last step; it has
  // no `viewOffset`.
  int32_t viewOf = -1;
  DimProgram viewOffset;
};

// Steps run in order. An input must be defined before: by the application, as a constant, or
// because an earlier step wrote it or any other tensor within the same memory. A step's outputs are
// all of kind Found, or none is; those after it may use the symbols that it gives values. So such
// steps cut the engine into segments, each of which is planned once its symbols are known.
struct EngineStep {
  struct Variant {
    std::string kernel;
    uint32_t revision = 1;
    std::vector<std::byte> parameters;
    std::vector<int32_t> weights;  // sections
    // Values of the symbols, in their order, at each point where this variant won, one point after
    // another. The runtime takes the variant of the point nearest in log space. May be empty if
    // alone.
    std::vector<int64_t> tunedAt;
  };
  std::string name;
  std::string region;                 // Region::toString, for reports and costs
  std::vector<std::string> origins;   // ONNX nodes
  std::vector<int32_t> regionInputs;  // tensors of every region input, -1 absent: for costs
  std::vector<int32_t> inputs;        // tensors, as Prepared::runtimeInputs orders them; -1 absent
  std::vector<int32_t> outputs;
  std::vector<Variant> variants;  // all of one parameter layout: at least one; none with `control`
  DType precision = DType::F32;   // what it computes in, for reports

  // What the runtime carries out itself, by running bodies; outputs are Found.
  //   If: inputs are a Bool condition and what the bodies read; bodies `then` and `otherwise` give
  //   the outputs.
  //   Loop: inputs are the most iterations (int64; -1: no limit), a Bool condition (-1: true), the
  //   `carried` tensors' first values and what the body reads besides. The body's inputs: the
  //   iteration, the condition, the carried tensors, the others; its outputs: the condition, the
  //   carried tensors, and what each iteration adds, stacked along a new first axis, to the others
  //   of the step's outputs.
  enum class Control : uint8_t { None, If, Loop };
  Control control = Control::None;
  std::vector<int32_t> bodies;  // of the engine
  int32_t carried = 0;
};

struct EngineWeight {
  DType dtype = DType::U8;
  std::vector<int64_t> dims;
  Tensor data;  // owned, or borrowed from the mapped file
};

struct EngineMeta {
  std::string producer;  // "carnot 0.1.0"
  std::string modelName;
  std::string device;  // DeviceTraits::fingerprint of the build
  std::string deviceKind;
  uint32_t isaBits = 0;           // needed to run
  int32_t threads = 1;            // tuned for
  int32_t computeCapability = 0;  // of a GPU: 90 is 9.0
  std::string explanation;        // JSON: candidates, times and refusals by step
};

// A body, of a step with control, is an engine without meta, profiles and weights: sections are those
// of the outermost engine.
struct EngineData {
  EngineMeta meta;
  std::vector<EngineSymbol> symbols;
  std::vector<EngineProfile> profiles;
  std::vector<EngineGuard> guards;
  std::vector<EngineTensor> tensors;
  // Tensors in the application's order. `inputs` holds every Input once, then every State once.
  // `outputs` holds every Output once, and may hold tensors of other kinds, which are copied out
  // after the last step.
  std::vector<int32_t> inputs, outputs;
  std::vector<EngineStep> steps;
  std::vector<EngineWeight> weights;
  std::vector<EngineData> bodies;
};

// Throws Error (InvalidModel) on the first index, order or program that does not hold: after it,
// the runtime may use every index unchecked.
void validateEngine(const EngineData& engine);

// Writes head and weights; all or nothing. The same engine gives the same bytes.
void saveEngine(const EngineData& engine, const std::string& path);
std::vector<std::byte> serializeEngine(const EngineData& engine);
// Maps the file; weights stay untouched until used (verifyWeights hashes them now). Throws Error:
// Io, InvalidModel (damaged), Incompatible (format version).
std::shared_ptr<const EngineData> loadEngine(const std::string& path, bool verifyWeights = false);
std::shared_ptr<const EngineData> deserializeEngine(std::span<const std::byte> bytes,
                                                    bool verifyWeights = false);

}  // namespace carnot
