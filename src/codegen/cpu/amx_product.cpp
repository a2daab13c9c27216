#include "codegen/cpu/amx_product.h"

#include <cstddef>

#include "base/error.h"
#include "codegen/cpu/assembler.h"
#include "codegen/cpu/machine_code.h"

namespace carnot {
namespace {

using Xbyak::Label;
using Xbyak::Reg64;
using Xbyak::Tmm;

constexpr int kTile = 16;             // rows, and words of a row
constexpr int kRowBytes = kTile * 4;  // of a tile
constexpr int kTiles = 8;

class Generator : public Assembler {
 public:
  explicit Generator(const AmxSpec& spec)
      : Assembler({static_cast<uint32_t>(Isa::Avx2) | static_cast<uint32_t>(Isa::Avx512)}),
        spec_(spec) {}
  std::shared_ptr<const MachineCode> generate();

 private:
  // Four sums, then two tiles of A's rows and two of B's columns.
  Tmm c(int row, int column) const { return Tmm(2 * row + column); }
  Tmm a(int row) const { return Tmm(4 + row); }
  Tmm b(int column) const { return Tmm(6 + column); }
  void placeConfiguration();

  const AmxSpec spec_;
  Label configuration_;
};

// The memory operand of LDTILECFG: palette 1, each tile of 16 rows of 64 bytes.
void Generator::placeConfiguration() {
  align(64);
  L(configuration_);
  db(1);
  for (int i = 1; i < 16; ++i) db(0);
  for (int tile = 0; tile < kTiles; ++tile) dw(kRowBytes);
  for (int i = 0; i < 16; ++i) db(0);
  for (int tile = 0; tile < kTiles; ++tile) db(kTile);
  for (int i = 0; i < 8; ++i) db(0);
}

#define ARGUMENT(field) (ptr[rdi + static_cast<int>(offsetof(AmxArguments, field))])

std::shared_ptr<const MachineCode> Generator::generate() {
  const Reg64 firstA = rsi, firstB = rdx, out = rcx, blocks = r8;
  const Reg64 aStride = r9, bStride = r10, atA = rax, atB = r11, count = rdi;
  const int rows = spec_.rowTiles, columns = spec_.columnTiles;
  const int bRowBytes = columns * kRowBytes;
  const auto tileOfA = static_cast<int>(kTile * spec_.aRowStride);
  ldtilecfg(ptr[rip + configuration_]);
  mov(firstA, ARGUMENT(a));
  mov(firstB, ARGUMENT(b));
  mov(out, ARGUMENT(c));
  mov(blocks, ARGUMENT(blocks));
  mov(aStride, spec_.aRowStride);
  mov(bStride, bRowBytes);
  Label nextBlock, nextStep;
  L(nextBlock);
  for (int row = 0; row < rows; ++row)
    for (int column = 0; column < columns; ++column) tilezero(c(row, column));
  mov(atA, firstA);
  mov(atB, firstB);
  mov(count, spec_.words / kTile);
  align(32);
  L(nextStep);
  for (int column = 0; column < columns; ++column)
    tileloadd(b(column), ptr[atB + bStride + column * kRowBytes]);
  for (int row = 0; row < rows; ++row) {
    tileloadd(a(row), ptr[atA + aStride + row * tileOfA]);
    for (int column = 0; column < columns; ++column) tdpbf16ps(c(row, column), a(row), b(column));
  }
  add(atA, kRowBytes);
  add(atB, kTile * bRowBytes);
  dec(count);
  jnz(nextStep, T_NEAR);
  for (int row = 0; row < rows; ++row)
    for (int column = 0; column < columns; ++column)
      tilestored(ptr[out + bStride + row * kTile * bRowBytes + column * kRowBytes], c(row, column));
  add(firstA, rows * tileOfA);
  add(out, rows * kTile * bRowBytes);
  dec(blocks);
  jnz(nextBlock, T_NEAR);
  tilerelease();
  ret();
  placeConfiguration();
  return finish();
}

#undef ARGUMENT

}  // namespace

AmxProduct::AmxProduct(const AmxSpec& spec) {
  ensure(spec.rowTiles >= 1 && spec.rowTiles <= 2 && spec.columnTiles >= 1 &&
             spec.columnTiles <= 2 && spec.words > 0 && spec.words % kTile == 0,
         "a block of one or two tiles each way, of whole tiles along k");
  code_ = Generator(spec).generate();
  function_ = code_->entry<void (*)(const AmxArguments*)>();
}

}  // namespace carnot
