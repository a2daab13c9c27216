// The elements of a row, or of rows side by side, and what folds leave.

#include <algorithm>
#include <cstddef>

#include "codegen/cpu/loop_compiler.h"
#include "codegen/cpu/loop_programs.h"

namespace carnot {

using Xbyak::Label;
using Xbyak::Reg64;
using Xbyak::Ymm;
using Xbyak::Zmm;

void LoopCompiler::emitElements(const Loop::Pass& pass, const PassCode& code, Rows rows) {
  clearAccumulators(pass, code, copiesOf(code, rows));
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
  if (alongLanes())
    emitSteps(pass, code, rows);
  else
    emitLength(pass, code);
  if (variant_.nested) {
    for (const Stream& stream : code.streams) advanceRepeat(stream.place, rows);
    for (int operand : code.repeating) advanceRepeat({Place::Kind::Operand, operand}, rows);
    a_.dec(a_.qword[a_.rsp + repeatsLeft_]);
    a_.jnz(nextRepeat, Assembler::T_NEAR);
    a_.L(done);
  }
  finishFolds(pass, code, rows);
}

void LoopCompiler::clearAccumulators(const Loop::Pass& pass, const PassCode& code, int copies) {
  for (size_t fold = 0; fold < pass.folds.size(); ++fold) {
    const DType type = foldType(pass, fold);
    const uint64_t bits = foldIdentityBits(pass.folds[fold].fold, type);
    for (int copy = 0; copy < copies; ++copy) {
      const Xbyak::Xmm view = accumulatorView(pass, code, fold, copy);
      if (dtypeBits(type) == 64)
        a_.loadConstant64(view, bits);
      else
        a_.loadConstant32(view, static_cast<uint32_t>(bits));
    }
  }
}

void LoopCompiler::startPointer(Place place) {
  if (place.kind == Place::Kind::Operand)
    a_.mov(a_.rax, a_.ptr[rowPointer(place.index)]);
  else
    a_.mov(a_.rax, a_.ptr[field(offsetof(LoopArguments, temporaries) + 8 * place.index)]);
  a_.mov(a_.ptr[repeatPointer(place)], a_.rax);
}

void LoopCompiler::advanceRepeat(Place place, Rows rows) {
  if (place.kind == Place::Kind::Operand) {
    a_.mov(a_.rax, a_.ptr[argument(place.index) + offsetof(LoopArguments::Operand, repeat)]);
  } else {
    const int vector = alongLanes() ? rows.group * lanes_ : 1;
    a_.imul(a_.rax, a_.ptr[field(offsetof(LoopArguments, length))],
            bytesOf(typeOf(place)) * vector);
  }
  a_.add(a_.qword[repeatPointer(place)], a_.rax);
}

// ---- Vectors along a row's elements.

void LoopCompiler::emitLength(const Loop::Pass& pass, const PassCode& code) {
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
  emitVector(pass, code, {}, 0, true);
  a_.L(done);
}

void LoopCompiler::emitLengthLoop(const Loop::Pass& pass, const PassCode& code, int unroll) {
  Label next, done;
  a_.mov(a_.rdi, a_.ptr[field(offsetof(LoopArguments, length))]);
  a_.sub(a_.rdi, unroll * lanes_);
  a_.cmp(a_.rbp, a_.rdi);
  a_.jg(done, Assembler::T_NEAR);
  a_.L(next);
  for (int copy = 0; copy < unroll; ++copy) emitVector(pass, code, {}, copy, false);
  a_.add(a_.rbp, unroll * lanes_);
  a_.cmp(a_.rbp, a_.rdi);
  a_.jle(next, Assembler::T_NEAR);
  a_.L(done);
}

// The first elements of a repeating operand, repeated to the length of a vector.
void LoopCompiler::fillSlot(int operand) {
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
        a_.vbroadcasti32x4(Zmm(0), from);
      else
        a_.vbroadcasti128(Ymm(0), from);
      break;
    case 32:
      if (a_.avx512())
        a_.vbroadcasti64x4(Zmm(0), from);
      else
        a_.vmovups(full, from);
      break;
    default:
      a_.vmovups(full, from);
      break;
  }
  a_.vmovups(a_.ptr[operandSlot(operand)], full);
}

// ---- Steps along the rows, each one element of as many rows as there are lanes.

void LoopCompiler::emitSteps(const Loop::Pass& pass, const PassCode& code, Rows rows) {
  for (const Stream& stream : code.streams) {
    if (stream.reg >= 0) {
      a_.mov(Reg64(stream.reg), a_.ptr[repeatPointer(stream.place)]);
    } else {
      a_.mov(a_.rax, a_.ptr[repeatPointer(stream.place)]);
      a_.mov(a_.ptr[stepPointer(stream.place)], a_.rax);
    }
  }
  if (rows.partial) a_.mov(a_.rdi, a_.ptr[a_.rsp + tailCount_]);
  a_.mov(a_.r15, a_.ptr[field(offsetof(LoopArguments, length))]);
  // A group's vectors have an accumulator each; a single vector's steps take turns.
  for (int unroll = rows.group > 1 ? 1 : code.unroll;; unroll = 1) {
    Label next, done;
    a_.sub(a_.r15, unroll);
    a_.jl(done, Assembler::T_NEAR);
    a_.L(next);
    for (int copy = 0; copy < unroll; ++copy) emitStep(pass, code, rows, copy);
    a_.sub(a_.r15, unroll);
    a_.jge(next, Assembler::T_NEAR);
    a_.L(done);
    if (unroll == 1) break;
    a_.add(a_.r15, unroll);
  }
}

void LoopCompiler::emitStep(const Loop::Pass& pass, const PassCode& code, Rows rows, int copy) {
  if (rows.group == 1) emitVector(pass, code, rows, copy, rows.partial);
  for (int vector = 0; rows.group > 1 && vector < rows.group; ++vector)
    emitVector(pass, code, rows, vector, false);
  for (const Stream& stream : code.streams) advanceStep(stream, rows);
}

void LoopCompiler::advanceStep(const Stream& stream, Rows rows) {
  const Place place = stream.place;
  const bool isOperand = place.kind == Place::Kind::Operand;
  if (isOperand && loop_.operands[place.index].perRow) return;
  if (isOperand)
    a_.mov(a_.rax, a_.ptr[argument(place.index) + offsetof(LoopArguments::Operand, element)]);
  else
    a_.mov(a_.eax, bytesOf(stream.type) * rows.group * lanes_);
  if (stream.reg >= 0)
    a_.add(Reg64(stream.reg), a_.rax);
  else
    a_.add(a_.qword[stepPointer(place)], a_.rax);
}

// ---- One vector.

VectorSource::Address LoopCompiler::streamAddress(const PassCode& code, Place place, Rows rows,
                                                  int copy) {
  const Stream& stream = *std::ranges::find(code.streams, place, &Stream::place);
  const bool isOperand = place.kind == Place::Kind::Operand;
  return [this, &stream, rows, copy, isOperand] {
    if (stream.reg < 0)
      a_.mov(a_.rsi,
             a_.ptr[alongLanes() ? stepPointer(stream.place) : repeatPointer(stream.place)]);
    const Reg64 base(stream.reg < 0 ? a_.rsi.getIdx() : stream.reg);
    const int bytes = bytesOf(stream.type);
    const int offset = copy * lanes_ * bytes;
    if (!alongLanes()) return base + a_.rbp * bytes + offset;
    const int groupOffset = rows.group > 1 ? offset : 0;
    if (!isOperand) return base + groupOffset;
    if (period(stream.place.index) == 0) return base + a_.rbp * bytes + groupOffset;
    return RegExp(base);
  };
}

void LoopCompiler::emitVector(const Loop::Pass& pass, const PassCode& code, Rows rows, int copy,
                              bool partial) {
  const int slot = rows.group > 1 ? copy : 0;
  std::vector<VectorSource> sources;
  for (const Place& place : pass.elements.inputs) {
    const bool isOperand = place.kind == Place::Kind::Operand;
    if (place.kind == Place::Kind::Scalar)
      sources.push_back(VectorSource::dense(scalarSlot(place.index, slot)));
    else if (readsSlot(place))
      sources.push_back(VectorSource::dense(operandSlot(place.index)));
    else if (alongLanes() && isOperand && period(place.index) > 0)
      sources.push_back(VectorSource::splat(streamAddress(code, place, rows, copy)));
    else
      sources.push_back(VectorSource::dense(streamAddress(code, place, rows, copy)));
  }
  std::vector<VectorSink> sinks;
  for (const Place& place : pass.elements.outputs)
    sinks.push_back(VectorSink::memory(streamAddress(code, place, rows, copy)));
  for (size_t fold = 0; fold < pass.folds.size(); ++fold) {
    sources.push_back(VectorSource::inRegister(accumulator(pass, fold, copy)));
    sinks.push_back(VectorSink::inRegister(accumulator(pass, fold, copy)));
  }
  // Lanes that are rows of their own need no care; those past a row's end must not be folded.
  const bool masksFolds = partial && code.partial;
  if (masksFolds) sources.push_back(VectorSource::partial());
  const int reserved = copiesOf(code, rows) * static_cast<int>(pass.folds.size());
  (masksFolds ? code.partial : code.elements)
      ->emit(registers(reserved), sources, sinks, tail(partial));
}

// ---- What folds leave.

void LoopCompiler::finishFolds(const Loop::Pass& pass, const PassCode& code, Rows rows) {
  const int reserved = copiesOf(code, rows) * static_cast<int>(pass.folds.size());
  for (size_t fold = 0; fold < pass.folds.size(); ++fold) {
    const int scalar = pass.folds[fold].scalar;
    auto keep = [&](int copy, int slot) {
      code.combine[fold]->store(foldType(pass, fold), accumulator(pass, fold, copy),
                                scalarSlot(scalar, slot), registers(reserved));
    };
    if (rows.group > 1) {
      for (int copy = 0; copy < rows.group; ++copy) keep(copy, copy);
      continue;
    }
    for (int copy = 1; copy < code.unroll; ++copy)
      foldInto(pass, code, fold, accumulator(pass, fold, copy), reserved);
    if (!alongLanes()) foldAcross(pass, code, fold);
    keep(0, 0);
  }
}

void LoopCompiler::foldInto(const Loop::Pass& pass, const PassCode& code, size_t fold, int other,
                            int reserved) {
  const int total = accumulator(pass, fold, 0);
  code.combine[fold]->emit(registers(reserved),
                           {VectorSource::inRegister(total), VectorSource::inRegister(other)},
                           {VectorSink::inRegister(total)});
}

// All lanes of the accumulator into each lane: halves exchanged, then quarters, and so on.
void LoopCompiler::foldAcross(const Loop::Pass& pass, const PassCode& code, size_t fold) {
  const Xbyak::Xmm total = accumulatorView(pass, code, fold, 0);
  const int reserved = code.unroll * static_cast<int>(pass.folds.size()) + 1;
  const int spare = a_.vectorRegisters() - reserved;
  const Xbyak::Xmm other = Assembler::vector(spare, total.getBit() / 8);
  if (total.isZMM()) {
    for (int halves : {0x4e, 0xb1}) {
      a_.vshuff32x4(Zmm(spare), Zmm(total.getIdx()), Zmm(total.getIdx()), halves);
      foldInto(pass, code, fold, spare, reserved);
    }
  } else if (total.isYMM()) {
    a_.vpermq(Ymm(spare), Ymm(total.getIdx()), 0x4e);
    foldInto(pass, code, fold, spare, reserved);
  }
  const int elementBits = static_cast<int>(total.getBit()) / lanes_;
  for (int pairs : {0x4e, 0xb1}) {
    if (pairs == 0xb1 && elementBits == 64) break;
    a_.vpshufd(other, total, pairs);
    foldInto(pass, code, fold, spare, reserved);
  }
}

}  // namespace carnot
