#include "codegen/cpu/softmax_rows.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <limits>
#include <numeric>

#include "codegen/cpu/assembler.h"
#include "codegen/cpu/machine_code.h"
#include "codegen/cpu/scalar_emitter.h"
#include "codegen/lower_math_functions.h"

namespace carnot {
namespace {

using Xbyak::Label;
using Xbyak::Reg64;
using Xbyak::Xmm;

constexpr float kHidden = -std::numeric_limits<float>::infinity();

constexpr double kLog2E = 1.4426950408889634;

// Whether scores are scaled only as they are raised to powers: the largest stays the largest.
bool scalesLate(const SoftmaxRowsSpec& spec) {
  return spec.mask == SoftmaxRowsSpec::Mask::None && spec.scale > 0;
}

// What a score is multiplied by to be a power of two's exponent.
double factorOf(const SoftmaxRowsSpec& spec) { return static_cast<double>(spec.scale) * kLog2E; }

// A score with its mask, as an exponent of 2: Input 0 and, if there is a mask, Input 1.
ScalarProgram maskedScore(const SoftmaxRowsSpec& spec) {
  ScalarBuilder builder;
  ScalarValue score = builder.input(0, DType::F32);
  if (!scalesLate(spec)) score = score * factorOf(spec);
  if (spec.mask == SoftmaxRowsSpec::Mask::Add)
    score = score + builder.input(1, DType::F32) * kLog2E;
  else if (spec.mask == SoftmaxRowsSpec::Mask::Keep)
    score = builder.select(builder.input(1, DType::Bool), score,
                           builder.constant(DType::F32, static_cast<double>(kHidden)));
  return std::move(builder).finish({&score, 1});
}

// 2^(factor * (Input 0 - Input 1)), which is 1 for the largest score, however large.
ScalarProgram power(double factor, IsaSet isa) {
  ScalarBuilder builder;
  const ScalarValue score = builder.input(0, DType::F32), shift = builder.input(1, DType::F32);
  const ScalarValue below = score - shift;
  const ScalarValue exponent = factor == 1 ? below : below * factor;
  const ScalarValue value = lowered::powerOfTwo(exponent, {.ldexp = isa.has(Isa::Avx512)});
  return std::move(builder).finish({&value, 1});
}

class Generator : public Assembler {
 public:
  explicit Generator(const SoftmaxRowsSpec& spec)
      : Assembler(spec.isa),
        spec_(spec),
        score_(*this, maskedScore(spec), vectorBytes()),
        power_(*this, power(scalesLate(spec) ? factorOf(spec) : 1, spec.isa), vectorBytes()) {}

  std::shared_ptr<const MachineCode> generate();

 private:
  // rax, rcx and rdx belong to the emitters.
  const Reg64 args = rdi, row = rsi, maskRow = r8, rowIndex = rbx, columns = rbp, at = r9,
              maskAt = r10, left = r11, tail = r12, end = r13, scratch = r14;
  const int kBest = 0, kSum = 1, kValue = 2, kHiddenLanes = 3, kFirstFree = 4;

  Xmm wide(int index) const { return vector(index, vectorBytes()); }
  Xmm single(int index) const { return Xmm(index); }
  int lanes() const { return vectorBytes() / 4; }
  Xbyak::RegExp shiftAt() const {
    return rsp + emitterBytes();
  }  // what a row subtracts, as a vector
  int emitterBytes() const { return std::max(score_.stackBytes(), power_.stackBytes()); }
  EmitterRegisters registers() const;
  void scoreVector(bool partial);
  void scoreRow();
  void shiftRow();
  void exponentialRow();
  // Reduces a vector to its first lane.
  using Combine = void (Xbyak::CodeGenerator::*)(const Xmm&, const Xbyak::Operand&,
                                                 const Xbyak::Operand&);
  void combineLanes(int reg, Combine combine);

  const SoftmaxRowsSpec spec_;
  const ScalarEmitter score_, power_;
};

#define ARGUMENT(field) (ptr[args + static_cast<int>(offsetof(SoftmaxRowsArguments, field))])

std::shared_ptr<const MachineCode> Generator::generate() {
  const int stackBytes = emitterBytes() + vectorBytes();
  pushCalleeSaved();
  sub(rsp, stackBytes);
  mov(row, ARGUMENT(scores));
  mov(maskRow, ARGUMENT(mask));
  mov(columns, ARGUMENT(columns));
  xor_(rowIndex, rowIndex);
  Label nextRow, done;
  L(nextRow);
  cmp(rowIndex, ARGUMENT(rows));
  jge(done, T_NEAR);
  scoreRow();
  shiftRow();
  exponentialRow();
  add(row, ARGUMENT(rowStride));
  add(maskRow, ARGUMENT(maskRowStride));
  add(columns, ARGUMENT(columnsStep));
  inc(rowIndex);
  jmp(nextRow, T_NEAR);
  L(done);
  add(rsp, stackBytes);
  popCalleeSaved();
  vzeroupper();
  ret();
  return finish();
}

EmitterRegisters Generator::registers() const {
  EmitterRegisters registers;
  registers.vectors.resize(static_cast<size_t>(vectorRegisters() - kFirstFree));
  std::iota(registers.vectors.begin(), registers.vectors.end(), kFirstFree);
  registers.stack = rsp;
  return registers;
}

// The vector at `at`: masked, stored, into the maximum. Of a partial one the lanes behind are
// hidden.
void Generator::scoreVector(bool partial) {
  std::vector<VectorSource> sources{VectorSource::dense(row + at)};
  if (spec_.mask != SoftmaxRowsSpec::Mask::None)
    sources.push_back(VectorSource::dense(maskRow + maskAt));
  score_.emit(registers(), sources, {VectorSink::inRegister(kValue)},
              {.active = partial, .mask = k1, .count = tail});
  if (partial && avx512()) {
    loadConstant32(wide(kHiddenLanes), std::bit_cast<uint32_t>(kHidden));
    vmovaps(wide(kHiddenLanes) | k1, wide(kValue));
    vmovaps(wide(kValue), wide(kHiddenLanes));
  } else if (partial) {
    loadConstant32(wide(kHiddenLanes), std::bit_cast<uint32_t>(kHidden));
    lea(rax, ptr[rip + laneMaskEnd()]);
    mov(rcx, tail);
    neg(rcx);
    vmovups(wide(kFirstFree), ptr[rax + rcx * 4]);
    vblendvps(wide(kValue), wide(kHiddenLanes), wide(kValue), wide(kFirstFree));
  }
  if (partial || !scalesLate(spec_)) vmovups(ptr[row + at], wide(kValue));
  vmaxps(wide(kBest), wide(kBest), wide(kValue));
}

// Masks the row's columns, finds their maximum, clears what follows. Leaves in `end` the bytes up
// to which vectors hold columns.
void Generator::scoreRow() {
  mov(left, columns);
  mov(scratch, ARGUMENT(columnsLimit));
  cmp(left, scratch);
  cmovg(left, scratch);
  xor_(scratch, scratch);
  test(left, left);
  cmovl(left, scratch);

  loadConstant32(wide(kBest), std::bit_cast<uint32_t>(kHidden));
  xor_(at, at);
  xor_(maskAt, maskAt);
  const int maskBytes = spec_.mask == SoftmaxRowsSpec::Mask::Keep ? 1 : 4;
  Label loop, partial, clear, clearLoop, done;
  L(loop);
  cmp(left, lanes());
  jl(partial, T_NEAR);
  scoreVector(false);
  add(at, vectorBytes());
  add(maskAt, lanes() * maskBytes);
  sub(left, lanes());
  jmp(loop, T_NEAR);
  L(partial);
  test(left, left);
  jz(clear, T_NEAR);
  mov(tail, left);
  if (avx512()) {
    mov(ecx, tail.cvt32());
    mov(eax, -1);
    bzhi(eax, eax, ecx);
    kmovd(k1, eax);
  }
  scoreVector(true);
  add(at, vectorBytes());
  L(clear);
  mov(end, at);
  mov(scratch, ARGUMENT(paddedColumns));
  shl(scratch, 2);
  vxorps(single(kValue), single(kValue), single(kValue));
  L(clearLoop);
  cmp(at, scratch);
  jge(done, T_NEAR);
  vmovups(ptr[row + at], wide(kValue));
  add(at, vectorBytes());
  jmp(clearLoop, T_NEAR);
  L(done);
}

void Generator::combineLanes(int reg, Combine combine) {
  const Xmm low = single(reg), other = single(kValue);
  if (avx512()) {
    vextractf64x4(Xbyak::Ymm(kValue), Xbyak::Zmm(reg), 1);
    (this->*combine)(Xbyak::Ymm(reg), Xbyak::Ymm(reg), Xbyak::Ymm(kValue));
  }
  vextractf128(other, Xbyak::Ymm(reg), 1);
  (this->*combine)(low, low, other);
  vmovhlps(other, low, low);
  (this->*combine)(low, low, other);
  vmovshdup(other, low);
  (this->*combine)(low, low, other);
}

// The new maximum, what to subtract, and the factor for what came before.
void Generator::shiftRow() {
  combineLanes(kBest, &Xbyak::CodeGenerator::vmaxps);
  mov(scratch, ARGUMENT(maxima));
  vmovss(single(kValue), ptr[scratch + rowIndex * 4]);
  vmaxss(single(kBest), single(kBest), single(kValue));
  vmovss(ptr[scratch + rowIndex * 4], single(kBest));
  // Nothing seen yet: subtract 0, so that hidden scores give exp(-infinity).
  Label visible;
  vmovd(eax, single(kBest));
  cmp(eax, std::bit_cast<uint32_t>(kHidden));
  jne(visible, T_NEAR);
  vxorps(single(kBest), single(kBest), single(kBest));
  L(visible);
  vbroadcastss(wide(kBest), single(kBest));
  vmovups(ptr[shiftAt()], wide(kBest));
  vbroadcastss(wide(kValue), single(kValue));
  power_.emit(registers(), {VectorSource::inRegister(kValue), VectorSource::dense(shiftAt())},
              {VectorSink::inRegister(kValue)});
  mov(scratch, ARGUMENT(factors));
  vmovss(ptr[scratch + rowIndex * 4], single(kValue));
}

void Generator::exponentialRow() {
  Label loop, done;
  vxorps(single(kSum), single(kSum), single(kSum));
  xor_(at, at);
  L(loop);
  cmp(at, end);
  jge(done, T_NEAR);
  power_.emit(registers(), {VectorSource::dense(row + at), VectorSource::dense(shiftAt())},
              {VectorSink::call([this](const Xmm& value) {
                vmovups(ptr[row + at], value);
                vaddps(wide(kSum), wide(kSum), value);
              })});
  add(at, vectorBytes());
  jmp(loop, T_NEAR);
  L(done);
  combineLanes(kSum, &Xbyak::CodeGenerator::vaddps);
  mov(scratch, ARGUMENT(sums));
  mov(rax, ARGUMENT(factors));
  vmovss(single(kValue), ptr[scratch + rowIndex * 4]);
  vfmadd132ss(single(kValue), single(kSum), ptr[rax + rowIndex * 4]);
  vmovss(ptr[scratch + rowIndex * 4], single(kValue));
}

#undef ARGUMENT

}  // namespace

SoftmaxRows::SoftmaxRows(const SoftmaxRowsSpec& spec)
    : exponent_(scalesLate(spec) ? static_cast<float>(factorOf(spec)) : 1),
      code_(Generator(spec).generate()) {
  function_ = code_->entry<void (*)(const SoftmaxRowsArguments*)>();
}

float SoftmaxRows::factor(float maximum, float larger) const {
  return std::exp2((maximum - larger) * exponent_);
}

}  // namespace carnot
