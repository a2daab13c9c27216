// Loops as x86 code. Registers: rbx the arguments, rbp the index along the vector axis, rdi its
// limit or the tail's count, r8 to r14 pointers to what a pass streams through, rsi a pointer that
// did not find room there, r15 counts steps; rax, rcx, rdx and all vectors belong to the emitted
// programs.

#include "codegen/cpu/loop_jit.h"

#include <algorithm>
#include <bit>
#include <cstddef>
#include <limits>

#include "base/error.h"
#include "codegen/cpu/loop_programs.h"
#include "codegen/cpu/scalar_emitter.h"

namespace carnot {
namespace {

using Place = Loop::Place;
using Xbyak::Label;
using Xbyak::Reg64;
using Xbyak::RegExp;

constexpr int kSlotBytes = 64;
constexpr int kMaxUnroll = 4;
constexpr int kUnrolledNodes = 64;  // an unrolled body is not larger

class CompiledLoop final : public LoopFunction {
 public:
  CompiledLoop(std::shared_ptr<const MachineCode> code, int lanes)
      : code_(std::move(code)), lanes_(lanes) {}
  void run(const LoopArguments& arguments) const override {
    code_->entry<void (*)(const LoopArguments*)>()(&arguments);
  }
  int lanes() const override { return lanes_; }

 private:
  std::shared_ptr<const MachineCode> code_;
  int lanes_;
};

// What a pass reads and writes element by element.
struct Stream {
  Place place;
  DType type = DType::F32;
  int reg = -1;  // r8 to r14, or -1
};

struct PassCode {
  std::unique_ptr<ScalarEmitter> row, elements, partial;  // partial: the last vector, with folds
  std::vector<std::unique_ptr<ScalarEmitter>> combine;    // by fold: two accumulators into one
  std::vector<Stream> streams;
  std::vector<int> repeating;  // operands read through slots
  int unroll = 1;
};

class LoopCompiler {
 public:
  LoopCompiler(const Loop& loop, const LoopShape::Variant& variant, IsaSet isa)
      : loop_(loop),
        variant_(variant),
        a_(isa),
        lanes_(loopLanes(loop, isa)),
        halfLanes_(lanes_ * 4 < a_.vectorBytes()) {
    for (const Loop::Pass& pass : loop.passes) passes_.push_back(makePass(pass));
    layOutFrame();
  }

  std::shared_ptr<const LoopFunction> compile() {
    enter();
    Label nextRow, done;
    a_.cmp(a_.qword[a_.rsp + rowsLeft_], 0);
    a_.jle(done, Assembler::T_NEAR);
    a_.L(nextRow);
    if (variant_.alongLanes)
      emitLanes();
    else
      emitPasses(false);
    for (size_t k = 0; k < loop_.operands.size(); ++k) {
      a_.mov(a_.rax, a_.ptr[argument(k) + offsetof(LoopArguments::Operand, row)]);
      a_.add(a_.qword[rowPointer(k)], a_.rax);
    }
    a_.dec(a_.qword[a_.rsp + rowsLeft_]);
    a_.jnz(nextRow, Assembler::T_NEAR);
    a_.L(done);
    leave();
    return std::make_shared<CompiledLoop>(a_.finish(), lanes_);
  }

 private:
  // ---- What there is to emit.

  std::unique_ptr<ScalarEmitter> emitterFor(const ScalarProgram& program) {
    return std::make_unique<ScalarEmitter>(a_, program, 0, halfLanes_);
  }

  PassCode makePass(const Loop::Pass& pass) {
    PassCode code;
    if (!pass.row.empty()) code.row = emitterFor(pass.row.program);
    if (pass.elements.empty()) return code;
    code.elements = emitterFor(foldingProgram(pass, false));
    if (!pass.folds.empty()) code.partial = emitterFor(foldingProgram(pass, true));
    for (const auto& fold : pass.folds)
      code.combine.push_back(emitterFor(foldOf(fold.fold, loop_.scalars[fold.scalar])));
    addStreams(pass, code);
    code.unroll = unrollOf(pass, code);
    return code;
  }

  void addStreams(const Loop::Pass& pass, PassCode& code) {
    constexpr int kFirst = Xbyak::Operand::R8, kCount = 7;
    auto add = [&](Place place) {
      if (place.kind == Place::Kind::Scalar) return;
      if (readsSlot(place)) {
        if (std::ranges::find(code.repeating, place.index) == code.repeating.end())
          code.repeating.push_back(place.index);
        return;
      }
      if (std::ranges::find(code.streams, place, &Stream::place) != code.streams.end()) return;
      Stream stream{.place = place, .type = typeOf(place)};
      if (code.streams.size() < kCount) stream.reg = kFirst + static_cast<int>(code.streams.size());
      code.streams.push_back(stream);
    };
    std::ranges::for_each(pass.elements.inputs, add);
    std::ranges::for_each(pass.elements.outputs, add);
  }

  int unrollOf(const Loop::Pass& pass, const PassCode& code) const {
    const int folds = static_cast<int>(pass.folds.size());
    int unroll = kMaxUnroll;
    while (unroll > 1 && unroll * code.elements->size() > kUnrolledNodes) unroll /= 2;
    if (folds > 0) {  // separate accumulators hide an addition's latency even in large bodies
      unroll = std::max(unroll, code.elements->size() > 2 * kUnrolledNodes ? 1 : 2);
      const int room = a_.vectorRegisters() - ScalarEmitter::kMinVectors;
      while (unroll > 1 && unroll * folds > room) unroll /= 2;
    } else if (variant_.alongLanes) {
      unroll = 1;
    }
    return unroll;
  }

  DType typeOf(Place place) const {
    switch (place.kind) {
      case Place::Kind::Operand:
        return loop_.operands[place.index].dtype;
      case Place::Kind::Scalar:
        return loop_.scalars[place.index];
      default:
        return loop_.temporaries[place.index];
    }
  }
  static int bytesOf(DType type) { return dtypeBits(type) / 8; }
  int period(int operand) const { return variant_.period[operand]; }
  // A repeated operand is written out for one vector before the elements; along lanes it is one
  // element, which may change from step to step.
  bool readsSlot(Place place) const {
    return place.kind == Place::Kind::Operand && !variant_.alongLanes && period(place.index) > 0;
  }

  // ---- The frame: what the programs spill, slots of one vector, pointers, counters.

  void layOutFrame() {
    int spill = 0;
    for (const PassCode& pass : passes_) {
      for (const auto* emitter : {&pass.row, &pass.elements, &pass.partial})
        if (*emitter) spill = std::max(spill, (*emitter)->stackBytes());
      for (const auto& emitter : pass.combine) spill = std::max(spill, emitter->stackBytes());
    }
    auto take = [this](size_t count, int bytes) {
      const int start = frameBytes_;
      frameBytes_ += static_cast<int>(count) * bytes;
      return start;
    };
    frameBytes_ = (spill + kSlotBytes - 1) / kSlotBytes * kSlotBytes;
    scalarSlots_ = take(loop_.scalars.size(), kSlotBytes);
    operandSlots_ = take(loop_.operands.size(), kSlotBytes);
    ones_ = take(1, kSlotBytes);
    const size_t pointers = loop_.operands.size() + loop_.temporaries.size();
    rowPointers_ = take(loop_.operands.size(), 8);
    repeatPointers_ = take(pointers, 8);
    stepPointers_ = take(pointers, 8);
    rowsLeft_ = take(1, 8);
    repeatsLeft_ = take(1, 8);
    tailCount_ = take(1, 8);
    oldStack_ = take(1, 8);
  }

  RegExp scalarSlot(int scalar) const { return a_.rsp + (scalarSlots_ + scalar * kSlotBytes); }
  RegExp operandSlot(int operand) const { return a_.rsp + (operandSlots_ + operand * kSlotBytes); }
  RegExp rowPointer(size_t operand) const {
    return a_.rsp + (rowPointers_ + static_cast<int>(operand) * 8);
  }
  int number(Place place) const {
    return place.index +
           (place.kind == Place::Kind::Temporary ? static_cast<int>(loop_.operands.size()) : 0);
  }
  RegExp repeatPointer(Place place) const { return a_.rsp + (repeatPointers_ + number(place) * 8); }
  RegExp stepPointer(Place place) const { return a_.rsp + (stepPointers_ + number(place) * 8); }
  RegExp argument(size_t operand) const {
    return a_.rbx + static_cast<int>(offsetof(LoopArguments, operands) +
                                     operand * sizeof(LoopArguments::Operand));
  }
  RegExp field(size_t offset) const { return a_.rbx + static_cast<int>(offset); }

  EmitterRegisters registers(int reserved = 0) const {
    EmitterRegisters registers;
    for (int i = 0; i < a_.vectorRegisters() - reserved; ++i) registers.vectors.push_back(i);
    registers.stack = RegExp(a_.rsp);
    return registers;
  }

  void enter() {
    a_.pushCalleeSaved();
    a_.mov(a_.rbx, a_.rdi);
    a_.mov(a_.rax, a_.rsp);
    a_.sub(a_.rsp, frameBytes_);
    a_.and_(a_.rsp, -64);
    a_.mov(a_.ptr[a_.rsp + oldStack_], a_.rax);
    for (size_t k = 0; k < loop_.operands.size(); ++k) {
      a_.mov(a_.rax, a_.ptr[argument(k) + offsetof(LoopArguments::Operand, data)]);
      a_.mov(a_.ptr[rowPointer(k)], a_.rax);
    }
    a_.mov(a_.rax, a_.ptr[field(offsetof(LoopArguments, rows))]);
    a_.mov(a_.ptr[a_.rsp + rowsLeft_], a_.rax);
    a_.mov(a_.rax, 0x0101010101010101);
    for (int i = 0; i < kSlotBytes; i += 8) a_.mov(a_.ptr[a_.rsp + (ones_ + i)], a_.rax);
    if (!a_.avx512()) return;
    const size_t extent =
        variant_.alongLanes ? offsetof(LoopArguments, lanes) : offsetof(LoopArguments, length);
    a_.mov(a_.ecx, a_.ptr[field(extent)]);
    a_.and_(a_.ecx, lanes_ - 1);
    a_.mov(a_.eax, 1);
    a_.shl(a_.eax, a_.cl);
    a_.dec(a_.eax);
    a_.kmovw(a_.k1, a_.eax);
  }

  void leave() {
    a_.mov(a_.rsp, a_.ptr[a_.rsp + oldStack_]);
    a_.vzeroupper();
    a_.popCalleeSaved();
    a_.ret();
  }

  VectorTail tail(bool active) const {
    return {.active = active, .mask = Xbyak::Opmask(1), .count = a_.rdi};
  }

  // ---- One row, or one vector of rows.

  void emitLanes() {
    Label next, partial, done;
    a_.xor_(a_.ebp, a_.ebp);
    a_.L(next);
    a_.lea(a_.rax, a_.ptr[a_.rbp + lanes_]);
    a_.cmp(a_.rax, a_.ptr[field(offsetof(LoopArguments, lanes))]);
    a_.jg(partial, Assembler::T_NEAR);
    emitPasses(false);
    a_.add(a_.rbp, lanes_);
    a_.jmp(next, Assembler::T_NEAR);
    a_.L(partial);
    a_.mov(a_.rdi, a_.ptr[field(offsetof(LoopArguments, lanes))]);
    a_.sub(a_.rdi, a_.rbp);
    a_.jz(done, Assembler::T_NEAR);
    a_.mov(a_.ptr[a_.rsp + tailCount_], a_.rdi);
    emitPasses(true);
    a_.L(done);
  }

  // `partialLanes`: rows along the vector, and not all lanes are rows.
  void emitPasses(bool partialLanes) {
    for (size_t i = 0; i < passes_.size(); ++i) {
      emitRow(loop_.passes[i], passes_[i], partialLanes);
      if (passes_[i].elements) emitElements(loop_.passes[i], passes_[i], partialLanes);
    }
  }

  void emitRow(const Loop::Pass& pass, const PassCode& code, bool partialLanes) {
    if (!code.row) return;
    std::vector<VectorSource> sources;
    for (const Place& place : pass.row.inputs) {
      if (place.kind == Place::Kind::Scalar) {
        sources.push_back(VectorSource::dense(scalarSlot(place.index)));
        continue;
      }
      auto address = rowAddress(place.index);
      sources.push_back(variant_.alongLanes && period(place.index) == 0
                            ? VectorSource::dense(address)
                            : VectorSource::splat(address));
    }
    std::vector<VectorSink> sinks;
    for (const Place& place : pass.row.outputs) {
      if (place.kind == Place::Kind::Scalar)
        sinks.push_back(VectorSink::memory(scalarSlot(place.index)));
      else if (variant_.alongLanes)
        sinks.push_back(VectorSink::memory(rowAddress(place.index)));
      else
        sinks.push_back(VectorSink::memory(operandSlot(place.index)));
    }
    if (partialLanes) a_.mov(a_.rdi, a_.ptr[a_.rsp + tailCount_]);
    code.row->emit(registers(), sources, sinks, tail(partialLanes));
    if (variant_.alongLanes) return;
    for (const Place& place : pass.row.outputs) {  // one element of the slot
      if (place.kind != Place::Kind::Operand) continue;
      a_.mov(a_.rcx, a_.ptr[rowPointer(place.index)]);
      copyElement(a_.rcx, operandSlot(place.index), bytesOf(typeOf(place)));
    }
  }

  VectorSource::Address rowAddress(int operand) {
    return [this, operand] {
      a_.mov(a_.rsi, a_.ptr[rowPointer(operand)]);
      if (variant_.alongLanes && period(operand) == 0)
        return a_.rsi + a_.rbp * bytesOf(loop_.operands[operand].dtype);
      return RegExp(a_.rsi);
    };
  }

  void copyElement(const Reg64& to, const RegExp& from, int bytes) {
    const Xbyak::Reg data = bytes == 1   ? static_cast<Xbyak::Reg>(a_.al)
                            : bytes == 2 ? static_cast<Xbyak::Reg>(a_.ax)
                            : bytes == 4 ? static_cast<Xbyak::Reg>(a_.eax)
                                         : static_cast<Xbyak::Reg>(a_.rax);
    a_.mov(data, a_.ptr[from]);
    a_.mov(a_.ptr[to], data);
  }

  // ---- The elements of a row.

  int accumulators(const Loop::Pass& pass, const PassCode& code) const {
    return code.unroll * static_cast<int>(pass.folds.size());
  }
  int accumulator(const Loop::Pass& pass, size_t fold, int copy) const {
    return a_.vectorRegisters() - 1 - copy * static_cast<int>(pass.folds.size()) -
           static_cast<int>(fold);
  }
  Xbyak::Xmm accumulatorView(const Loop::Pass& pass, const PassCode& code, size_t fold,
                             int copy) const {
    const DType type = loop_.scalars[pass.folds[fold].scalar];
    return Assembler::vector(accumulator(pass, fold, copy), code.elements->registerBytes(type));
  }

  void emitElements(const Loop::Pass& pass, const PassCode& code, bool partialLanes) {
    for (size_t fold = 0; fold < pass.folds.size(); ++fold)
      for (int copy = 0; copy < code.unroll; ++copy) {
        const DType type = loop_.scalars[pass.folds[fold].scalar];
        const uint64_t bits = foldIdentityBits(pass.folds[fold].fold, type);
        const auto view = accumulatorView(pass, code, fold, copy);
        if (dtypeBits(type) == 64)
          a_.loadConstant64(view, bits);
        else
          a_.loadConstant32(view, static_cast<uint32_t>(bits));
      }
    for (const Stream& stream : code.streams) startPointer(stream.place);
    for (int operand : code.repeating) startPointer({Place::Kind::Operand, operand});
    Label nextRepeat, done;
    if (variant_.nested) {
      a_.mov(a_.rax, a_.ptr[field(offsetof(LoopArguments, repeats))]);
      a_.test(a_.rax, a_.rax);
      a_.jz(done, Assembler::T_NEAR);
      a_.mov(a_.ptr[a_.rsp + repeatsLeft_], a_.rax);
      a_.L(nextRepeat);
    }
    if (variant_.alongLanes)
      emitSteps(pass, code, partialLanes);
    else
      emitLength(pass, code);
    if (variant_.nested) {
      for (const Stream& stream : code.streams) advanceRepeat(stream.place);
      for (int operand : code.repeating) advanceRepeat({Place::Kind::Operand, operand});
      a_.dec(a_.qword[a_.rsp + repeatsLeft_]);
      a_.jnz(nextRepeat, Assembler::T_NEAR);
      a_.L(done);
    }
    finishFolds(pass, code, partialLanes);
  }

  void startPointer(Place place) {
    if (place.kind == Place::Kind::Operand)
      a_.mov(a_.rax, a_.ptr[rowPointer(place.index)]);
    else
      a_.mov(a_.rax, a_.ptr[field(offsetof(LoopArguments, temporaries) + 8 * place.index)]);
    a_.mov(a_.ptr[repeatPointer(place)], a_.rax);
  }

  void advanceRepeat(Place place) {
    if (place.kind == Place::Kind::Operand) {
      a_.mov(a_.rax, a_.ptr[argument(place.index) + offsetof(LoopArguments::Operand, repeat)]);
    } else {
      const int vector = variant_.alongLanes ? lanes_ : 1;
      a_.imul(a_.rax, a_.ptr[field(offsetof(LoopArguments, length))],
              bytesOf(typeOf(place)) * vector);
    }
    a_.add(a_.qword[repeatPointer(place)], a_.rax);
  }

  // Vectors along the row's elements.
  void emitLength(const Loop::Pass& pass, const PassCode& code) {
    for (int operand : code.repeating) fillSlot(operand);
    for (const Stream& stream : code.streams)
      if (stream.reg >= 0) a_.mov(Reg64(stream.reg), a_.ptr[repeatPointer(stream.place)]);
    a_.xor_(a_.ebp, a_.ebp);
    if (code.unroll > 1) emitLengthLoop(pass, code, code.unroll);
    emitLengthLoop(pass, code, 1);
    Label done;
    a_.mov(a_.rdi, a_.ptr[field(offsetof(LoopArguments, length))]);
    a_.sub(a_.rdi, a_.rbp);
    a_.jz(done, Assembler::T_NEAR);
    emitVector(pass, code, 0, true);
    a_.L(done);
  }

  void emitLengthLoop(const Loop::Pass& pass, const PassCode& code, int unroll) {
    Label next, done;
    a_.mov(a_.rdi, a_.ptr[field(offsetof(LoopArguments, length))]);
    a_.sub(a_.rdi, unroll * lanes_);
    a_.cmp(a_.rbp, a_.rdi);
    a_.jg(done, Assembler::T_NEAR);
    a_.L(next);
    for (int copy = 0; copy < unroll; ++copy) emitVector(pass, code, copy, false);
    a_.add(a_.rbp, unroll * lanes_);
    a_.cmp(a_.rbp, a_.rdi);
    a_.jle(next, Assembler::T_NEAR);
    a_.L(done);
  }

  // Steps along the row's elements, each one element of as many rows as there are lanes.
  void emitSteps(const Loop::Pass& pass, const PassCode& code, bool partialLanes) {
    for (const Stream& stream : code.streams) {
      if (stream.reg >= 0) {
        a_.mov(Reg64(stream.reg), a_.ptr[repeatPointer(stream.place)]);
      } else {
        a_.mov(a_.rax, a_.ptr[repeatPointer(stream.place)]);
        a_.mov(a_.ptr[stepPointer(stream.place)], a_.rax);
      }
    }
    if (partialLanes) a_.mov(a_.rdi, a_.ptr[a_.rsp + tailCount_]);
    a_.mov(a_.r15, a_.ptr[field(offsetof(LoopArguments, length))]);
    for (int unroll : {code.unroll, 1}) {
      if (unroll == 1 && code.unroll > 1) a_.add(a_.r15, code.unroll);
      Label next, done;
      a_.sub(a_.r15, unroll);
      a_.jl(done, Assembler::T_NEAR);
      a_.L(next);
      for (int copy = 0; copy < unroll; ++copy) {
        emitVector(pass, code, copy, partialLanes);
        for (const Stream& stream : code.streams) advanceStep(stream);
      }
      a_.sub(a_.r15, unroll);
      a_.jge(next, Assembler::T_NEAR);
      a_.L(done);
      if (code.unroll == 1) break;
    }
  }

  void advanceStep(const Stream& stream) {
    const Place place = stream.place;
    const bool isOperand = place.kind == Place::Kind::Operand;
    if (isOperand && loop_.operands[place.index].perRow) return;
    const int temporaryBytes = bytesOf(stream.type) * lanes_;
    if (isOperand)
      a_.mov(a_.rax, a_.ptr[argument(place.index) + offsetof(LoopArguments::Operand, element)]);
    else
      a_.mov(a_.eax, temporaryBytes);
    if (stream.reg >= 0)
      a_.add(Reg64(stream.reg), a_.rax);
    else
      a_.add(a_.qword[stepPointer(place)], a_.rax);
  }

  // The first elements of a repeating operand, repeated to the length of a vector.
  void fillSlot(int operand) {
    const int bytes = period(operand) * bytesOf(loop_.operands[operand].dtype);
    const Xbyak::Xmm full = Assembler::vector(0, a_.vectorBytes());
    a_.mov(a_.rax, a_.ptr[repeatPointer({Place::Kind::Operand, operand})]);
    const Xbyak::Address from = a_.ptr[a_.rax];
    switch (bytes) {
      case 1:
        a_.vpbroadcastb(full, from);
        break;
      case 2:
        a_.vpbroadcastw(full, from);
        break;
      case 4:
        a_.vbroadcastss(full, from);
        break;
      case 8:
        a_.vpbroadcastq(full, from);
        break;
      case 16:
        if (a_.avx512())
          a_.vbroadcasti32x4(Xbyak::Zmm(0), from);
        else
          a_.vbroadcasti128(Xbyak::Ymm(0), from);
        break;
      case 32:
        if (a_.avx512())
          a_.vbroadcasti64x4(Xbyak::Zmm(0), from);
        else
          a_.vmovups(full, from);
        break;
      default:
        a_.vmovups(full, from);
        break;
    }
    a_.vmovups(a_.ptr[operandSlot(operand)], full);
  }

  const Stream& streamOf(const PassCode& code, Place place) const {
    return *std::ranges::find(code.streams, place, &Stream::place);
  }

  VectorSource::Address streamAddress(const PassCode& code, Place place, int copy) {
    const Stream& stream = streamOf(code, place);
    const int bytes = bytesOf(stream.type);
    const bool isOperand = place.kind == Place::Kind::Operand;
    return [this, &stream, bytes, copy, isOperand] {
      if (stream.reg < 0)
        a_.mov(
            a_.rsi,
            a_.ptr[variant_.alongLanes ? stepPointer(stream.place) : repeatPointer(stream.place)]);
      const Reg64 base(stream.reg < 0 ? a_.rsi.getIdx() : stream.reg);
      if (!variant_.alongLanes) return base + a_.rbp * bytes + copy * lanes_ * bytes;
      if (isOperand && period(stream.place.index) == 0) return base + a_.rbp * bytes;
      return RegExp(base);
    };
  }

  // One vector of elements: of the main loop's copy `copy`, or the partial one.
  void emitVector(const Loop::Pass& pass, const PassCode& code, int copy, bool partial) {
    std::vector<VectorSource> sources;
    for (const Place& place : pass.elements.inputs) {
      if (place.kind == Place::Kind::Scalar)
        sources.push_back(VectorSource::dense(scalarSlot(place.index)));
      else if (readsSlot(place))
        sources.push_back(VectorSource::dense(operandSlot(place.index)));
      else if (variant_.alongLanes && place.kind == Place::Kind::Operand && period(place.index) > 0)
        sources.push_back(VectorSource::splat(streamAddress(code, place, copy)));
      else
        sources.push_back(VectorSource::dense(streamAddress(code, place, copy)));
    }
    std::vector<VectorSink> sinks;
    for (const Place& place : pass.elements.outputs)
      sinks.push_back(VectorSink::memory(streamAddress(code, place, copy)));
    for (size_t fold = 0; fold < pass.folds.size(); ++fold) {
      sources.push_back(VectorSource::inRegister(accumulator(pass, fold, copy)));
      sinks.push_back(VectorSink::inRegister(accumulator(pass, fold, copy)));
    }
    // Lanes that are rows of their own need no care; those past a row's end must not be folded.
    const bool masksFolds = partial && !variant_.alongLanes && code.partial;
    if (masksFolds) sources.push_back(VectorSource::dense(a_.rsp + ones_));
    (masksFolds ? code.partial : code.elements)
        ->emit(registers(accumulators(pass, code)), sources, sinks, tail(partial));
  }

  // ---- What folds leave.

  void finishFolds(const Loop::Pass& pass, const PassCode& code, bool partialLanes) {
    if (partialLanes) a_.mov(a_.rdi, a_.ptr[a_.rsp + tailCount_]);
    for (size_t fold = 0; fold < pass.folds.size(); ++fold) {
      const int total = accumulator(pass, fold, 0);
      for (int copy = 1; copy < code.unroll; ++copy)
        combine(pass, code, fold, accumulator(pass, fold, copy));
      const DType type = loop_.scalars[pass.folds[fold].scalar];
      if (!variant_.alongLanes) foldAcross(pass, code, fold);
      code.combine[fold]->store(type, total, scalarSlot(pass.folds[fold].scalar),
                                registers(accumulators(pass, code)), tail(false));
    }
  }

  void combine(const Loop::Pass& pass, const PassCode& code, size_t fold, int other) {
    const int total = accumulator(pass, fold, 0);
    code.combine[fold]->emit(registers(accumulators(pass, code)),
                             {VectorSource::inRegister(total), VectorSource::inRegister(other)},
                             {VectorSink::inRegister(total)});
  }

  // All lanes of the accumulator into each lane: halves exchanged, then quarters, and so on.
  void foldAcross(const Loop::Pass& pass, const PassCode& code, size_t fold) {
    const Xbyak::Xmm total = accumulatorView(pass, code, fold, 0);
    const int spare = a_.vectorRegisters() - accumulators(pass, code) - 1;
    const Xbyak::Xmm other = Assembler::vector(spare, total.getBit() / 8);
    const int elementBits = total.getBit() / lanes_;
    auto registersLeft = registers(accumulators(pass, code) + 1);
    auto fold2 = [&] {
      code.combine[fold]->emit(
          registersLeft,
          {VectorSource::inRegister(total.getIdx()), VectorSource::inRegister(spare)},
          {VectorSink::inRegister(total.getIdx())});
    };
    if (total.isZMM()) {
      a_.vshuff32x4(Xbyak::Zmm(spare), Xbyak::Zmm(total.getIdx()), Xbyak::Zmm(total.getIdx()),
                    0x4e);
      fold2();
      a_.vshuff32x4(Xbyak::Zmm(spare), Xbyak::Zmm(total.getIdx()), Xbyak::Zmm(total.getIdx()),
                    0xb1);
      fold2();
    } else if (total.isYMM()) {
      a_.vpermq(Xbyak::Ymm(spare), Xbyak::Ymm(total.getIdx()), 0x4e);
      fold2();
    }
    a_.vpshufd(other, total, 0x4e);
    fold2();
    if (elementBits != 32) return;
    a_.vpshufd(other, total, 0xb1);
    fold2();
  }

  const Loop& loop_;
  const LoopShape::Variant& variant_;
  mutable Assembler a_;
  int lanes_;
  bool halfLanes_;
  std::vector<PassCode> passes_;
  int frameBytes_ = 0, scalarSlots_ = 0, operandSlots_ = 0, ones_ = 0;
  int rowPointers_ = 0, repeatPointers_ = 0, stepPointers_ = 0;
  int rowsLeft_ = 0, repeatsLeft_ = 0, tailCount_ = 0, oldStack_ = 0;
};

}  // namespace

int loopLanes(const Loop& loop, IsaSet isa) {
  bool half = false;
  for (const Loop::Pass& pass : loop.passes)
    for (const Loop::Code* code : {&pass.row, &pass.elements})
      half |= ScalarEmitter::needsHalfLanes(code->program, isa);
  const int bytes = isa.has(Isa::Avx512) ? 64 : 32;
  return bytes / (half ? 8 : 4);
}

std::optional<std::string> refuseMachineCode(const Loop& loop, IsaSet isa) {
  constexpr size_t kMaxFolds = 6;
  for (const Loop::Pass& pass : loop.passes) {
    if (pass.folds.size() > kMaxFolds) return "more folds in one pass than registers hold";
    for (const auto& fold : pass.folds)
      if (auto reason = ScalarEmitter::refusal(foldOf(fold.fold, loop.scalars[fold.scalar]), isa))
        return reason;
    for (const Loop::Code* code : {&pass.row, &pass.elements})
      if (auto reason = ScalarEmitter::refusal(code->program, isa)) return reason;
  }
  return std::nullopt;
}

std::shared_ptr<const LoopFunction> compileLoop(const Loop& loop, const LoopShape::Variant& variant,
                                                IsaSet isa) {
  return LoopCompiler(loop, variant, isa).compile();
}

}  // namespace carnot
