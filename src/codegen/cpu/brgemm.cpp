#include "codegen/cpu/brgemm.h"

#include <algorithm>

#include "base/error.h"
#include "codegen/cpu/machine_code.h"
#include "codegen/cpu/tile_generator.h"

namespace carnot {
namespace {

using Xbyak::Label;
using Xbyak::Reg64;
using Xbyak::Xmm;

constexpr int kLoopUnroll = 8;  // products of a tap in one turn of its loop
constexpr int kLineBytes = 64;
constexpr int kMaxStraight = 32;  // products of a tap without a loop

class Generator : public TileGenerator {
 public:
  explicit Generator(const BrgemmSpec& spec) : TileGenerator(spec.isa, spec.tile), spec_(spec) {}
  std::shared_ptr<const MachineCode> generate();

 private:
  const Reg64 a = rsi, bStride = rbp, ahead = rbp, rowFactors = rbp;
  const Reg64 b = rdx, tap = rcx, tapA = rax, tapCount = r9, count = r10;
  const Reg64 minus = r11, difference = r14;  // from b

  bool maskedB() const { return !spec_.packedB && spec_.tile.maskLast; }
  void multiplyTaps(size_t countField, int k);
  void multiplyTap(int k);
  void multiplyStep(int step, int bOffset);
  void fetchA(int step, int k);
  void finishIntegers();

  const BrgemmSpec spec_;
};

#define ARGUMENT(field) (ptr[args + static_cast<int>(offsetof(BrgemmArguments, field))])

std::shared_ptr<const MachineCode> Generator::generate() {
  return generateTiles(
      [&] {
        mov(a, ARGUMENT(a));
        if (!spec_.packedB)
          mov(bStride, ARGUMENT(bRowStride));
        else if (spec_.prefetchEvery)
          mov(ahead, ARGUMENT(prefetch));
        else if (spec_.rowTerms)
          mov(rowFactors, ARGUMENT(rowFactors));
      },
      [&] {
        if (maskedB() && !avx512()) tailMask();
        mov(b, ARGUMENT(b));
        if (spec_.difference) {
          mov(minus, ARGUMENT(minus));
          sub(minus, b);
          mov(difference, ARGUMENT(difference));
          sub(difference, b);
        }
        mov(tap, ARGUMENT(tapOffsets));
        multiplyTaps(offsetof(BrgemmArguments, taps), spec_.k);
        if (spec_.tailK) multiplyTaps(offsetof(BrgemmArguments, tailTaps), spec_.tailK);
        add(a, static_cast<int>(spec_.tile.rows * spec_.aRowStride));
        if (spec_.fours) finishIntegers();
      });
}

// Zero points and the conversion to float32.
void Generator::finishIntegers() {
  const Reg64 terms = rax, factors = rcx;
  const int rows = spec_.tile.rows, vectors = spec_.tile.vectors;
  const Xmm column = wide(sums()), product = wide(sums() + 1);
  mov(terms, ARGUMENT(columnTerms));
  if (spec_.rowTerms) mov(factors, ARGUMENT(columnFactors));
  for (int v = 0; v < vectors; ++v) {
    if (spec_.rowTerms) {
      vmovups(column, ptr[factors + v * vectorBytes()]);
      for (int row = 0; row < rows; ++row) {
        vbroadcastss(product, ptr[rowFactors + row * 4]);
        vpmulld(product, product, column);
        vpaddd(sum(row, v), sum(row, v), product);
      }
    }
    vmovups(column, ptr[terms + v * vectorBytes()]);
    for (int row = 0; row < rows; ++row) {
      vpaddd(sum(row, v), sum(row, v), column);
      if (spec_.real) vcvtdq2ps(sum(row, v), sum(row, v));
    }
  }
  if (spec_.rowTerms) add(rowFactors, rows * 4);
}

void Generator::multiplyTaps(size_t countField, int k) {
  Label nextTap, done;
  mov(tapCount, ptr[args + static_cast<int>(countField)]);
  test(tapCount, tapCount);
  jz(done, T_NEAR);
  align(32);
  L(nextTap);
  mov(tapA, ptr[tap]);
  add(tap, 8);
  add(tapA, a);
  multiplyTap(k);
  dec(tapCount);
  jnz(nextTap, T_NEAR);
  L(done);
}

void Generator::multiplyTap(int k) {
  const int bStep = spec_.packedB ? spec_.tile.vectors * vectorBytes() : 0;
  auto steps = [&](int n) {
    int fetched = 0;
    for (int i = 0; i < n; ++i) {
      if (spec_.prefetchEvery && i % spec_.prefetchEvery == 0)
        prefetcht1(ptr[ahead + fetched++ * kLineBytes]);
      if (spec_.aFetchAhead && n == k) fetchA(i, k);
      multiplyStep(i, i * bStep);
      if (!spec_.packedB) add(b, bStride);
    }
    if (bStep) add(b, n * bStep);
    if (fetched) add(ahead, fetched * kLineBytes);
  };
  auto advanceA = [&](int n) { add(tapA, static_cast<int>(n * spec_.aKStride)); };
  if (k > 0 && k <= kMaxStraight) return steps(k);
  Label loop, rest, restLoop, done;
  if (k > 0) {
    mov(count, k / kLoopUnroll);
    align(32);
    L(loop);
    steps(kLoopUnroll);
    advanceA(kLoopUnroll);
    dec(count);
    jnz(loop, T_NEAR);
    if (k % kLoopUnroll) steps(k % kLoopUnroll);
    return;
  }
  mov(count, ARGUMENT(k));
  sub(count, kLoopUnroll);
  jl(rest, T_NEAR);
  align(32);
  L(loop);
  steps(kLoopUnroll);
  advanceA(kLoopUnroll);
  sub(count, kLoopUnroll);
  jge(loop, T_NEAR);
  L(rest);
  add(count, kLoopUnroll);
  jz(done, T_NEAR);
  L(restLoop);
  steps(1);
  advanceA(1);
  dec(count);
  jnz(restLoop, T_NEAR);
  L(done);
}

#undef ARGUMENT

// The lines of A that rows start in, spread over the products of a tap.
void Generator::fetchA(int step, int k) {
  for (int row = step; row < spec_.tile.rows; row += k) {
    const int64_t place = row * spec_.aRowStride;
    if (row > 0 && place / kLineBytes == (place - spec_.aRowStride) / kLineBytes) continue;
    prefetcht0(ptr[tapA + static_cast<int>(place + spec_.aFetchAhead)]);
  }
}

void Generator::multiplyStep(int step, int bOffset) {
  const int rows = spec_.tile.rows, vectors = spec_.tile.vectors;
  auto aAt = [&](int row) {
    return static_cast<int>(row * spec_.aRowStride + step * spec_.aKStride);
  };
  const int free = sums();
  const int available = vectorRegisters() - free - (maskedB() && !avx512() ? 1 : 0);
  // The last vector of B is read from memory by every row when registers run out.
  const bool fromMemory = vectors + 1 > available;
  // A's element as a broadcast operand, which for integers would be the signed one.
  const bool embedded = vectors == 1 && avx512() && !spec_.fours;
  const int loaded = vectors - (fromMemory && !embedded ? 1 : 0);
  for (int v = 0; v < loaded; ++v) {
    const Xbyak::Address from = ptr[b + bOffset + v * vectorBytes()];
    const Xmm to = wide(free + v);
    if (!maskedB() || v + 1 < vectors)
      vmovups(to, from);
    else if (avx512())
      vmovups(to | k1 | T_z, from);
    else
      vmaskmovps(to, wide(vectorRegisters() - 1), from);
    if (!spec_.difference) continue;
    vsubps(to, to, ptr[b + minus + bOffset + v * vectorBytes()]);
    vmovups(ptr[b + difference + bOffset + v * vectorBytes()], to);
  }
  auto multiplyAdd = [&](const Xmm& sum, const Xmm& value, const Xbyak::Operand& b) {
    if (spec_.fours)
      vpdpbusd(sum, value, b, avx512() ? Xbyak::EvexEncoding : Xbyak::VexEncoding);
    else if (spec_.pairs)
      vdpbf16ps(sum, value, b);
    else
      vfmadd231ps(sum, value, b);
  };
  if (embedded) {
    for (int row = 0; row < rows; ++row)
      multiplyAdd(sum(row, 0), wide(free), ptr_b[tapA + aAt(row)]);
    return;
  }
  const int broadcasts = std::min(2, available - loaded);
  for (int row = 0; row < rows; ++row) {
    const Xmm value = wide(free + loaded + row % broadcasts);
    vbroadcastss(value, ptr[tapA + aAt(row)]);
    for (int v = 0; v < loaded; ++v) multiplyAdd(sum(row, v), value, wide(free + v));
    if (fromMemory) multiplyAdd(sum(row, loaded), value, ptr[b + bOffset + loaded * vectorBytes()]);
  }
}

}  // namespace

int BrgemmSpec::maxRows(int lanes, int vectors, bool packedB) {
  const int registers = lanes == 16 ? 32 : 16;
  if (vectors == 1) return registers - (lanes == 16 ? 1 : packedB ? 2 : 3);
  // A register for a broadcast and one for each vector of B; memory may give the last of a packed
  // B. AVX2 keeps a mask.
  return (registers - vectors - (packedB ? 0 : lanes == 16 ? 1 : 2)) / vectors;
}

Brgemm::Brgemm(const BrgemmSpec& spec) {
  ensure(spec.k >= 0 && spec.tailK >= 0 &&
             (spec.prefetchEvery == 0 || (spec.packedB && spec.k > 0)) &&
             spec.tile.rows <= BrgemmSpec::maxRows(spec.isa.has(Isa::Avx512) ? 16 : 8,
                                                   spec.tile.vectors, spec.packedB),
         "a tile fits in the vector registers");
  ensure(!spec.difference || (spec.packedB && (spec.tile.rows + 1) * spec.tile.vectors + 1 <=
                                                  (spec.isa.has(Isa::Avx512) ? 32 : 16)),
         "a difference's vectors are all loaded");
  ensure(!spec.pairs || (spec.isa.has(Isa::Avx512Bf16) && !spec.difference),
         "pairs are multiplied where the processor can");
  const int registers = spec.isa.has(Isa::Avx512) ? 32 : 16;
  ensure(!spec.fours || (spec.isa.has(registers == 32 ? Isa::Avx512Vnni : Isa::AvxVnni) &&
                         !spec.difference && !spec.prefetchEvery && spec.packedB &&
                         (spec.tile.rows + 1) * spec.tile.vectors + 1 <= registers),
         "integers are multiplied where the processor can");
  ensure(spec.fours || (!spec.rowTerms && !spec.real), "terms are of integers");
  if (spec.prefetchEvery) {
    auto lines = [&](int k) {
      const int inLoop = k > kMaxStraight ? k / kLoopUnroll * kLoopUnroll : 0;
      return inLoop / spec.prefetchEvery +
             (k - inLoop + spec.prefetchEvery - 1) / spec.prefetchEvery;
    };
    linesOfTap_ = lines(spec.k);
    linesOfTailTap_ = lines(spec.tailK);
  }
  code_ = Generator(spec).generate();
  function_ = code_->entry<void (*)(const BrgemmArguments*)>();
}

size_t Brgemm::codeBytes() const { return code_->bytes(); }

}  // namespace carnot
