#pragma once

// Inside scalar_emitter: the emission of one program on one vector. Registers are allocated while
// the code is written, in program order; what is used last of all is spilled first.

#include <array>
#include <cstdint>
#include <span>
#include <variant>
#include <vector>

#include "codegen/cpu/scalar_emitter.h"

namespace carnot {

// How a register holds a value. A Mask is an opmask with AVX-512, else a vector of all-ones and
// all-zeros 32-bit lanes.
enum class ValueClass : uint8_t { F32, F64, I32, I64, Mask };
ValueClass classOf(DType type);
inline bool isWide(ValueClass kind) { return kind == ValueClass::F64 || kind == ValueClass::I64; }
bool isUnsigned(DType type);

// A lowered program and what emission needs to know of it.
struct VectorPlan {
  ScalarProgram program;
  int vectorBytes = 32;
  int lanes = 8;
  std::vector<std::vector<uint32_t>> uses;  // by node: where it is used; size() for an output
  int peak = 0;                             // values alive at once, inputs and constants left out
  VectorPlan(const ScalarProgram& lowered, int vectorBytes, bool wide);
  static bool isWideProgram(const ScalarProgram& lowered);
  int bytesOf(ValueClass kind) const { return lanes * (isWide(kind) ? 8 : 4); }
};

class VectorEmission {
 public:
  VectorEmission(Assembler& assembler, const VectorPlan& plan, const EmitterRegisters& registers,
                 const VectorTail& tail);
  void run(std::span<const VectorSource> sources, std::span<const VectorSink> sinks);

  // vector_memory.cpp. `dst` and `src` are of registerBytes of the type; masks apart.
  void loadVector(DType type, const Xbyak::Xmm& dst, const VectorSource& source);
  void storeVector(DType type, const Xbyak::Xmm& src, const Xbyak::RegExp& where);

  static constexpr int kScratchBytes = 64;
  static constexpr int kScratches = 3;

 private:
  using Xmm = Xbyak::Xmm;
  using Operand = Xbyak::Operand;

  // The last source of an instruction: a register or memory.
  class LastSource {
   public:
    LastSource(const Xmm& reg) : source_(reg) {}                 // NOLINT: implicit by design
    LastSource(const Xbyak::Address& where) : source_(where) {}  // NOLINT
    const Operand& operator*() const {
      if (const Xmm* reg = std::get_if<Xmm>(&source_)) return *reg;
      return std::get<Xbyak::Address>(source_);
    }

   private:
    std::variant<Xmm, Xbyak::Address> source_;
  };
  struct Value {
    int reg = -1;   // vector register, or opmask for a Mask with AVX-512
    int slot = -1;  // index of its spilled copy
  };
  static constexpr int kFree = -1, kTemporary = -2, kReserved = -3;
  struct Bank {  // a register file: who holds each register (a node, or one of the above)
    std::array<int, 32> holder;
    uint32_t pinned = 0;
    std::vector<int> usable;
  };

  // Allocation.
  ValueClass classAt(int node) const { return classOf(plan_.program.nodes[node].dtype); }
  const ScalarNode& nodeAt(int node) const { return plan_.program.nodes[node]; }
  bool inMaskBank(ValueClass kind) const { return avx512_ && kind == ValueClass::Mask; }
  Bank& bankOf(ValueClass kind) { return inMaskBank(kind) ? masks_ : vectors_; }
  Xmm view(int reg, ValueClass kind) const { return Assembler::vector(reg, plan_.bytesOf(kind)); }
  uint32_t nextUse(int node) const;
  int take(ValueClass kind);  // a free register, by spilling if need be
  void evict(Bank& bank, int reg);
  int takeSlot();
  Xbyak::RegExp slotAddress(int slot) const;
  Xbyak::RegExp scratch(int index) const;
  void moveSlot(int node, int slot, bool load);
  void bind(int node, int reg);
  void release(int node);
  int regOf(int node);  // brings it into a register and pins that
  Xmm vectorOf(int node) { return view(regOf(node), classAt(node)); }
  Xbyak::Opmask maskOf(int node) { return Xbyak::Opmask(regOf(node)); }
  Xmm temporary(ValueClass kind);  // until the end of the instruction
  Xbyak::Opmask temporaryMask();
  // Arguments used for the last time at `node`; gives a register that one of them held, or -1.
  int releaseDying(int node);
  // The register for node's result: after the dying arguments gave theirs back (one instruction),
  // or apart from every argument (several).
  Xmm defineOver(int node);
  Xmm defineApart(int node);
  Xbyak::Opmask defineMask(int node);
  void finishNode(int node);
  // The argument as last source: its register, a constant or an input in memory.
  LastSource operandOf(int node);
  bool inMemory(int node) const;
  Xbyak::Address constantOf(int node);
  uint64_t constantBits(int node) const;
  void loadConstant(int node, const Xmm& dst);
  void serve(int output, const VectorSink& sink);

  // vector_memory.cpp
  void loadMask(int reg, const VectorSource& source);
  void storeMask(int node, const Xbyak::RegExp& where);
  void loadTailBytes(int bytes, const Xbyak::RegExp& where);
  void storeTailBytes(int bytes, const Xbyak::RegExp& where);
  void laneMask(const Xmm& dst, int elementBytes);
  void splat(DType type, const Xmm& dst, const Xbyak::RegExp& where);
  void packAndStore(const Xmm& src, int elementBytes, bool isSignedValue,
                    const Xbyak::RegExp& where);
  void roundToBfloat16(const Xmm& dst, const Xmm& src);  // bits in the upper half; dst != src

  // vector_arithmetic.cpp
  void emitNode(int node);
  void emitFloat(int node);
  void emitFma(int node);
  void emitInteger(int node);
  void emitIntegerBinary(ScalarOp op, DType type, const Xmm& d, const Xmm& a, const Operand& b);
  void emitShift(int node);
  void emitMultiply64(int node);
  void emitMinMax64(int node);
  void emitDivide(int node);
  void wrap(DType type, const Xmm& reg);
  void bitwise(ScalarOp op, const Xmm& d, const Xmm& a, const Operand& b, bool wide);
  void allOnes(const Xmm& d);

  // vector_compare.cpp
  void emitCompare(int node);
  void compareIntegers(int node, const Xmm& d);
  void emitLogic(int node);
  void emitSelect(int node);
  void narrowMask(const Xmm& dst, const Xmm& wide);
  Xmm widenedMask(const Xmm& mask);

  // vector_cast.cpp
  void emitCast(int node);
  void copy(int node);
  void castFromFloat(int node, DType to);
  void castFromDouble(int node, DType to);
  void castFromInt32(int node, DType to);
  void castFromInt64(int node, DType to);
  void castFromMask(int node, DType to);
  void castToBool(int node);
  void roundToStorage(DType to, const Xmm& d);
  void int64ToDouble(const Xmm& d, const Xmm& x, bool unsignedValue);
  void doubleToInt64(const Xmm& d, const Xmm& x);
  void narrow64(const Xmm& d, const Xmm& x);

  Assembler& a_;
  const VectorPlan& plan_;
  const EmitterRegisters& registers_;
  const VectorTail& tail_;
  bool avx512_;
  std::vector<Value> values_;
  std::vector<VectorSource> sources_;  // by node, for Inputs
  std::vector<bool> storedOnly_;       // by node: outputs to memory that nothing else uses
  Bank vectors_, masks_;
  std::vector<bool> slots_;
  uint32_t position_ = 0;
};

}  // namespace carnot
