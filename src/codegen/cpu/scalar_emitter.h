#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "codegen/cpu/assembler.h"
#include "ops/scalar.h"

namespace carnot {

// Where one Input of a program comes from, for one vector of elements. Elements in memory have the
// Input's dtype. `address` is asked each time just before the access, and may emit code that
// computes a register of the caller's.
struct VectorSource {
  using Address = std::function<Xbyak::RegExp()>;
  enum class Kind : uint8_t {
    Register,  // in vector register `reg`, which the program may overwrite
    Dense,     // consecutive elements
    Splat,     // one element for every lane
    Partial,   // for a Bool: whether the lane exists in a partial vector
  };
  Kind kind = Kind::Register;
  int reg = -1;
  Address address;

  static VectorSource inRegister(int reg) { return {Kind::Register, reg, {}}; }
  static VectorSource partial() { return {Kind::Partial, -1, {}}; }
  static VectorSource dense(Xbyak::RegExp where) {
    return {Kind::Dense, -1, [where] { return where; }};
  }
  static VectorSource dense(Address where) { return {Kind::Dense, -1, std::move(where)}; }
  static VectorSource splat(Xbyak::RegExp where) {
    return {Kind::Splat, -1, [where] { return where; }};
  }
  static VectorSource splat(Address where) { return {Kind::Splat, -1, std::move(where)}; }
};

// Where one output of a program goes. All sinks are served after all sources were read, in the
// order of the outputs: an output may overwrite the memory of an input at the same index.
struct VectorSink {
  enum class Kind : uint8_t { Memory, Register, Function };
  Kind kind = Kind::Memory;
  int reg = -1;
  VectorSource::Address address;
  std::function<void(const Xbyak::Xmm& value)> function;

  // Stored densely as the output's dtype.
  static VectorSink memory(Xbyak::RegExp where) {
    return {Kind::Memory, -1, [where] { return where; }, {}};
  }
  static VectorSink memory(VectorSource::Address where) {
    return {Kind::Memory, -1, std::move(where), {}};
  }
  // Left in vector register `reg`. Not for Bool.
  static VectorSink inRegister(int reg) { return {Kind::Register, reg, {}, {}}; }
  // Code that the function emits reads the value's register. Not for Bool.
  static VectorSink call(std::function<void(const Xbyak::Xmm&)> function) {
    return {Kind::Function, -1, {}, std::move(function)};
  }
};

// A last vector that is not full: only the first lanes exist in memory, in `mask` (AVX-512) or
// counted by `count` (AVX2, left unchanged; not rax, rcx, rdx).
struct VectorTail {
  bool active = false;
  Xbyak::Opmask mask{1};
  Xbyak::Reg64 count{0};
};

// What the emitted code may overwrite, beside rax, rcx and rdx.
struct EmitterRegisters {
  std::vector<int> vectors;                     // at least ScalarEmitter::kMinVectors
  std::vector<int> masks = {2, 3, 4, 5, 6, 7};  // AVX-512's opmasks, at least 3
  Xbyak::RegExp stack;                          // ScalarEmitter::stackBytes() of memory
};

// A ScalarProgram as x86 code over vectors of elements, one register a value: 8 (AVX2) or 16
// (AVX-512) lanes of 32 bits; half as many in a program with a 64-bit type anywhere. F16 and BF16
// are computed as F32, integers below 32 bits in 32-bit lanes with their own wrap-around.
class ScalarEmitter {
 public:
  static constexpr int kMinVectors = 7;

  // Lowers `program` (codegen/lower_math.h). `vectorBytes`: 64 (AVX-512) or 32; 0 is the widest.
  // `halfLanes`: half the lanes even without a 64-bit type, beside programs that have one.
  ScalarEmitter(Assembler& assembler, const ScalarProgram& program, int vectorBytes = 0,
                bool halfLanes = false);
  ~ScalarEmitter();

  // Why the program cannot be emitted: an operation or a type that has no vector code.
  static std::optional<std::string> refusal(const ScalarProgram& program, IsaSet isa);

  // Whether the program, lowered, has a 64-bit type.
  static bool needsHalfLanes(const ScalarProgram& program, IsaSet isa);

  int lanes() const;
  int size() const;  // operations of the lowered program
  // The size in bytes of the register that a value of this type takes: 64, 32 or 16.
  int registerBytes(DType type) const;
  // Vector registers with which nothing is spilled, the sources' own not counted.
  int registersNeeded() const;
  int stackBytes() const;

  // Emits the program once; may be called any number of times, each with its own places.
  void emit(const EmitterRegisters& registers, const std::vector<VectorSource>& sources,
            const std::vector<VectorSink>& sinks, const VectorTail& tail = {}) const;

  // A vector from and to memory, in the form in which programs hold a value of `type` (not Bool).
  void load(DType type, int reg, const VectorSource& source, const EmitterRegisters& registers,
            const VectorTail& tail = {}) const;
  void store(DType type, int reg, Xbyak::RegExp where, const EmitterRegisters& registers,
             const VectorTail& tail = {}) const;

 private:
  Assembler& assembler_;
  std::unique_ptr<const struct VectorPlan> plan_;
};

}  // namespace carnot
