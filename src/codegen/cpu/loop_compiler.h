#pragma once

// Inside loop_jit: one loop as x86 code. Registers: rbx the arguments, rbp the index along the
// vector axis, rdi its limit or the tail's count, r8 to r14 pointers to what a pass streams
// through, rsi a pointer that did not find room there, r15 counts steps; rax, rcx, rdx and all
// vectors belong to the emitted programs.

#include <memory>
#include <vector>

#include "codegen/cpu/loop_function.h"
#include "codegen/cpu/scalar_emitter.h"

namespace carnot {

class LoopCompiler {
 public:
  LoopCompiler(const Loop& loop, const LoopShape::Variant& variant, IsaSet isa, int vectorLanes);
  std::shared_ptr<const LoopFunction> compile();

 private:
  using Place = Loop::Place;
  using RegExp = Xbyak::RegExp;

  // What a pass reads and writes element by element.
  struct Stream {
    Place place;
    DType type = DType::F32;
    int reg = -1;  // r8 to r14, or -1
  };
  struct PassCode {
    std::unique_ptr<ScalarEmitter> row, elements;
    std::unique_ptr<ScalarEmitter> partial;               // the last vector of elements, with folds
    std::vector<std::unique_ptr<ScalarEmitter>> combine;  // by fold: two accumulators into one
    std::vector<Stream> streams;
    std::vector<int> repeating;  // operands read through slots
    int unroll = 1;
  };
  // The rows that code runs side by side: one row, or `group` vectors of them, the last perhaps not
  // full.
  struct Rows {
    int group = 1;
    bool partial = false;
  };

  // loop_compiler.cpp: what there is to emit, the frame, rows.
  PassCode makePass(const Loop::Pass& pass);
  std::unique_ptr<ScalarEmitter> emitterFor(const ScalarProgram& program);
  void addStreams(const Loop::Pass& pass, PassCode& code) const;
  int unrollOf(const Loop::Pass& pass, const PassCode& code) const;
  int groupOf() const;
  void layOutFrame();
  void enter();
  void leave();
  void emitLanes();
  void emitPasses(Rows rows);
  void emitRow(const Loop::Pass& pass, const PassCode& code, Rows rows);
  void emitRowVector(const Loop::Pass& pass, const PassCode& code, Rows rows, int copy);
  VectorSource::Address rowAddress(int operand, int copy);
  void copyElement(const Xbyak::Reg64& to, const RegExp& from, int bytes);

  // loop_elements.cpp: the elements of rows, and folds. `copy` numbers what is side by side: the
  // group's vectors, or the unrolled copies.
  void emitElements(const Loop::Pass& pass, const PassCode& code, Rows rows);
  void clearAccumulators(const Loop::Pass& pass, const PassCode& code, int copies);
  void startPointer(Place place);
  void advanceRepeat(Place place, Rows rows);
  void emitLength(const Loop::Pass& pass, const PassCode& code);
  void emitLengthLoop(const Loop::Pass& pass, const PassCode& code, int unroll);
  void emitSteps(const Loop::Pass& pass, const PassCode& code, Rows rows);
  void emitStep(const Loop::Pass& pass, const PassCode& code, Rows rows, int copy);
  void advanceStep(const Stream& stream, Rows rows);
  void fillSlot(int operand);
  VectorSource::Address streamAddress(const PassCode& code, Place place, Rows rows, int copy);
  void emitVector(const Loop::Pass& pass, const PassCode& code, Rows rows, int copy, bool partial);
  void finishFolds(const Loop::Pass& pass, const PassCode& code, Rows rows);
  void foldInto(const Loop::Pass& pass, const PassCode& code, size_t fold, int other, int reserved);
  void foldAcross(const Loop::Pass& pass, const PassCode& code, size_t fold);

  bool alongLanes() const { return variant_.alongLanes; }
  int period(int operand) const { return variant_.period[operand]; }
  static int bytesOf(DType type) { return dtypeBits(type) / 8; }
  DType typeOf(Place place) const;
  DType foldType(const Loop::Pass& pass, size_t fold) const {
    return loop_.scalars[pass.folds[fold].scalar];
  }
  bool readsSlot(Place place) const;

  // Copies of each accumulator that a pass has.
  int copiesOf(const PassCode& code, Rows rows) const {
    return rows.group > 1 ? rows.group : code.unroll;
  }
  int accumulator(const Loop::Pass& pass, size_t fold, int copy) const {
    return a_.vectorRegisters() - 1 - copy * static_cast<int>(pass.folds.size()) -
           static_cast<int>(fold);
  }
  Xbyak::Xmm accumulatorView(const Loop::Pass& pass, const PassCode& code, size_t fold,
                             int copy) const {
    return Assembler::vector(accumulator(pass, fold, copy),
                             code.elements->registerBytes(foldType(pass, fold)));
  }

  RegExp scalarSlot(int scalar, int copy) const;
  RegExp operandSlot(int operand) const;
  RegExp rowPointer(size_t operand) const;
  RegExp repeatPointer(Place place) const;
  RegExp stepPointer(Place place) const;
  int number(Place place) const;
  RegExp argument(size_t operand) const;
  RegExp field(size_t offset) const { return a_.rbx + static_cast<int>(offset); }
  EmitterRegisters registers(int reserved = 0) const;
  VectorTail tail(bool active) const {
    return {.active = active, .mask = Xbyak::Opmask(1), .count = a_.rdi};
  }

  const Loop& loop_;
  const LoopShape::Variant& variant_;
  mutable Assembler a_;
  int lanes_;
  bool halfLanes_;
  std::vector<PassCode> passes_;
  int group_ = 1;
  int frameBytes_ = 0, scalarSlots_ = 0, operandSlots_ = 0;
  int rowPointers_ = 0, repeatPointers_ = 0, stepPointers_ = 0;
  int rowsLeft_ = 0, repeatsLeft_ = 0, tailCount_ = 0, oldStack_ = 0;
};

}  // namespace carnot
