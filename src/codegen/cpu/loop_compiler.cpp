#include "codegen/cpu/loop_compiler.h"

#include <algorithm>
#include <cstddef>

#include "codegen/cpu/loop_programs.h"

namespace carnot {

using Xbyak::Label;
using Xbyak::Reg64;

namespace {

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

}  // namespace

LoopCompiler::LoopCompiler(const Loop& loop, const LoopShape::Variant& variant, IsaSet isa,
                           int vectorLanes)
    : loop_(loop),
      variant_(variant),
      a_(isa),
      lanes_(vectorLanes),
      halfLanes_(vectorLanes * 4 < a_.vectorBytes()) {
  for (const Loop::Pass& pass : loop.passes) passes_.push_back(makePass(pass));
  group_ = groupOf();
  layOutFrame();
}

std::shared_ptr<const LoopFunction> LoopCompiler::compile() {
  enter();
  Label nextRow, done;
  a_.cmp(a_.qword[a_.rsp + rowsLeft_], 0);
  a_.jle(done, Assembler::T_NEAR);
  a_.L(nextRow);
  if (alongLanes())
    emitLanes();
  else
    emitPasses({});
  for (size_t k = 0; k < loop_.operands.size(); ++k) {
    a_.mov(a_.rax, a_.ptr[argument(k) + offsetof(LoopArguments::Operand, row)]);
    a_.add(a_.qword[rowPointer(k)], a_.rax);
  }
  a_.dec(a_.qword[a_.rsp + rowsLeft_]);
  a_.jnz(nextRow, Assembler::T_NEAR);
  a_.L(done);
  leave();
  return std::make_shared<CompiledLoop>(a_.finish(), lanes_ * group_);
}

// ---- What there is to emit.

std::unique_ptr<ScalarEmitter> LoopCompiler::emitterFor(const ScalarProgram& program) {
  return std::make_unique<ScalarEmitter>(a_, program, 0, halfLanes_);
}

LoopCompiler::PassCode LoopCompiler::makePass(const Loop::Pass& pass) {
  PassCode code;
  if (!pass.row.empty()) code.row = emitterFor(pass.row.program);
  if (pass.elements.empty()) return code;
  code.elements = emitterFor(foldingProgram(pass, false));
  if (!pass.folds.empty() && !alongLanes()) code.partial = emitterFor(foldingProgram(pass, true));
  for (size_t fold = 0; fold < pass.folds.size(); ++fold)
    code.combine.push_back(emitterFor(foldOf(pass.folds[fold].fold, foldType(pass, fold))));
  addStreams(pass, code);
  code.unroll = unrollOf(pass, code);
  return code;
}

void LoopCompiler::addStreams(const Loop::Pass& pass, PassCode& code) const {
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
  for (Place place : pass.elements.inputs) add(place);
  for (Place place : pass.elements.outputs) add(place);
}

int LoopCompiler::unrollOf(const Loop::Pass& pass, const PassCode& code) const {
  const int folds = static_cast<int>(pass.folds.size());
  if (folds == 0 && alongLanes()) return 1;
  int unroll = kMaxUnroll;
  while (unroll > 1 && unroll * code.elements->size() > kUnrolledNodes) unroll /= 2;
  if (folds == 0) return unroll;
  // Separate accumulators hide an addition's latency even in larger bodies.
  unroll = std::max(unroll, code.elements->size() > 2 * kUnrolledNodes ? 1 : 2);
  const int room = a_.vectorRegisters() - ScalarEmitter::kMinVectors;
  while (unroll > 1 && unroll * folds > room) unroll /= 2;
  return unroll;
}

// Vectors of rows side by side, so that each step along a row reads whole runs of cache lines.
int LoopCompiler::groupOf() const {
  if (!alongLanes()) return 1;
  int nodes = 0, folds = 0;
  for (size_t i = 0; i < passes_.size(); ++i) {
    if (passes_[i].elements) nodes = std::max(nodes, passes_[i].elements->size());
    folds = std::max(folds, static_cast<int>(loop_.passes[i].folds.size()));
  }
  int group = kMaxUnroll;
  const int room = a_.vectorRegisters() - ScalarEmitter::kMinVectors;
  while (group > 1 && (group * folds > room || group * nodes > 4 * kUnrolledNodes)) group /= 2;
  return group;
}

DType LoopCompiler::typeOf(Place place) const {
  switch (place.kind) {
    case Place::Kind::Operand:
      return loop_.operands[place.index].dtype;
    case Place::Kind::Scalar:
      return loop_.scalars[place.index];
    case Place::Kind::Temporary:
      break;
  }
  return loop_.temporaries[place.index];
}

// A repeated operand is written out for one vector before the elements; along lanes it is one
// element, which may change from step to step.
bool LoopCompiler::readsSlot(Place place) const {
  return place.kind == Place::Kind::Operand && !alongLanes() && period(place.index) > 0;
}

// ---- The frame: what the programs spill, slots of one vector, pointers, counters.

void LoopCompiler::layOutFrame() {
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
  scalarSlots_ = take(loop_.scalars.size() * static_cast<size_t>(group_), kSlotBytes);
  operandSlots_ = take(loop_.operands.size(), kSlotBytes);
  const size_t pointers = loop_.operands.size() + loop_.temporaries.size();
  rowPointers_ = take(loop_.operands.size(), 8);
  repeatPointers_ = take(pointers, 8);
  stepPointers_ = take(pointers, 8);
  rowsLeft_ = take(1, 8);
  repeatsLeft_ = take(1, 8);
  tailCount_ = take(1, 8);
  oldStack_ = take(1, 8);
}

LoopCompiler::RegExp LoopCompiler::scalarSlot(int scalar, int copy) const {
  return a_.rsp + (scalarSlots_ + (scalar * group_ + copy) * kSlotBytes);
}
LoopCompiler::RegExp LoopCompiler::operandSlot(int operand) const {
  return a_.rsp + (operandSlots_ + operand * kSlotBytes);
}
LoopCompiler::RegExp LoopCompiler::rowPointer(size_t operand) const {
  return a_.rsp + (rowPointers_ + static_cast<int>(operand) * 8);
}
int LoopCompiler::number(Place place) const {
  const bool isTemporary = place.kind == Place::Kind::Temporary;
  return place.index + (isTemporary ? static_cast<int>(loop_.operands.size()) : 0);
}
LoopCompiler::RegExp LoopCompiler::repeatPointer(Place place) const {
  return a_.rsp + (repeatPointers_ + number(place) * 8);
}
LoopCompiler::RegExp LoopCompiler::stepPointer(Place place) const {
  return a_.rsp + (stepPointers_ + number(place) * 8);
}
LoopCompiler::RegExp LoopCompiler::argument(size_t operand) const {
  return a_.rbx + static_cast<int>(offsetof(LoopArguments, operands) +
                                   operand * sizeof(LoopArguments::Operand));
}

EmitterRegisters LoopCompiler::registers(int reserved) const {
  EmitterRegisters registers;
  for (int i = 0; i < a_.vectorRegisters() - reserved; ++i) registers.vectors.push_back(i);
  registers.stack = RegExp(a_.rsp);
  return registers;
}

void LoopCompiler::enter() {
  a_.pushCalleeSaved();
  a_.mov(a_.rbx, a_.rdi);
  a_.mov(a_.rax, a_.rsp);
  a_.sub(a_.rsp, frameBytes_);
  a_.and_(a_.rsp, -kSlotBytes);
  a_.mov(a_.ptr[a_.rsp + oldStack_], a_.rax);
  for (size_t k = 0; k < loop_.operands.size(); ++k) {
    a_.mov(a_.rax, a_.ptr[argument(k) + offsetof(LoopArguments::Operand, data)]);
    a_.mov(a_.ptr[rowPointer(k)], a_.rax);
  }
  a_.mov(a_.rax, a_.ptr[field(offsetof(LoopArguments, rows))]);
  a_.mov(a_.ptr[a_.rsp + rowsLeft_], a_.rax);
  if (!a_.avx512()) return;
  const size_t extent =
      alongLanes() ? offsetof(LoopArguments, lanes) : offsetof(LoopArguments, length);
  a_.mov(a_.ecx, a_.ptr[field(extent)]);
  a_.and_(a_.ecx, lanes_ - 1);
  a_.mov(a_.eax, 1);
  a_.shl(a_.eax, a_.cl);
  a_.dec(a_.eax);
  a_.kmovw(a_.k1, a_.eax);
}

void LoopCompiler::leave() {
  a_.mov(a_.rsp, a_.ptr[a_.rsp + oldStack_]);
  a_.vzeroupper();
  a_.popCalleeSaved();
  a_.ret();
}

// ---- One row, or vectors of rows.

void LoopCompiler::emitLanes() {
  Label done;
  a_.xor_(a_.ebp, a_.ebp);
  for (int group = group_;; group = 1) {
    Label next, fewer;
    a_.L(next);
    a_.lea(a_.rax, a_.ptr[a_.rbp + group * lanes_]);
    a_.cmp(a_.rax, a_.ptr[field(offsetof(LoopArguments, lanes))]);
    a_.jg(fewer, Assembler::T_NEAR);
    emitPasses({.group = group});
    a_.add(a_.rbp, group * lanes_);
    a_.jmp(next, Assembler::T_NEAR);
    a_.L(fewer);
    if (group == 1) break;
  }
  a_.mov(a_.rdi, a_.ptr[field(offsetof(LoopArguments, lanes))]);
  a_.sub(a_.rdi, a_.rbp);
  a_.jz(done, Assembler::T_NEAR);
  a_.mov(a_.ptr[a_.rsp + tailCount_], a_.rdi);
  emitPasses({.partial = true});
  a_.L(done);
}

void LoopCompiler::emitPasses(Rows rows) {
  for (size_t i = 0; i < passes_.size(); ++i) {
    emitRow(loop_.passes[i], passes_[i], rows);
    if (passes_[i].elements) emitElements(loop_.passes[i], passes_[i], rows);
  }
}

void LoopCompiler::emitRow(const Loop::Pass& pass, const PassCode& code, Rows rows) {
  if (!code.row) return;
  if (rows.partial) a_.mov(a_.rdi, a_.ptr[a_.rsp + tailCount_]);
  for (int copy = 0; copy < rows.group; ++copy) emitRowVector(pass, code, rows, copy);
  if (alongLanes()) return;
  for (const Place& place : pass.row.outputs) {  // one element of the slot
    if (place.kind != Place::Kind::Operand) continue;
    a_.mov(a_.rcx, a_.ptr[rowPointer(place.index)]);
    copyElement(a_.rcx, operandSlot(place.index), bytesOf(typeOf(place)));
  }
}

void LoopCompiler::emitRowVector(const Loop::Pass& pass, const PassCode& code, Rows rows,
                                 int copy) {
  std::vector<VectorSource> sources;
  for (const Place& place : pass.row.inputs) {
    if (place.kind == Place::Kind::Scalar)
      sources.push_back(VectorSource::dense(scalarSlot(place.index, copy)));
    else if (alongLanes() && period(place.index) == 0)
      sources.push_back(VectorSource::dense(rowAddress(place.index, copy)));
    else
      sources.push_back(VectorSource::splat(rowAddress(place.index, copy)));
  }
  std::vector<VectorSink> sinks;
  for (const Place& place : pass.row.outputs) {
    if (place.kind == Place::Kind::Scalar)
      sinks.push_back(VectorSink::memory(scalarSlot(place.index, copy)));
    else if (alongLanes())
      sinks.push_back(VectorSink::memory(rowAddress(place.index, copy)));
    else
      sinks.push_back(VectorSink::memory(operandSlot(place.index)));
  }
  code.row->emit(registers(), sources, sinks, tail(rows.partial));
}

VectorSource::Address LoopCompiler::rowAddress(int operand, int copy) {
  return [this, operand, copy] {
    a_.mov(a_.rsi, a_.ptr[rowPointer(operand)]);
    const int bytes = bytesOf(loop_.operands[operand].dtype);
    if (alongLanes() && period(operand) == 0)
      return a_.rsi + a_.rbp * bytes + copy * lanes_ * bytes;
    return RegExp(a_.rsi);
  };
}

void LoopCompiler::copyElement(const Reg64& to, const RegExp& from, int bytes) {
  const Xbyak::Reg data = bytes == 1   ? static_cast<Xbyak::Reg>(a_.al)
                          : bytes == 2 ? static_cast<Xbyak::Reg>(a_.ax)
                          : bytes == 4 ? static_cast<Xbyak::Reg>(a_.eax)
                                       : static_cast<Xbyak::Reg>(a_.rax);
  a_.mov(data, a_.ptr[from]);
  a_.mov(a_.ptr[to], data);
}

}  // namespace carnot
