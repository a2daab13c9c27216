#include "codegen/cpu/depthwise.h"

#include <algorithm>

#include "base/error.h"
#include "codegen/cpu/machine_code.h"
#include "codegen/cpu/tile_generator.h"

namespace carnot {
namespace {

using Xbyak::Label;
using Xbyak::Reg64;
using Xbyak::Xmm;

constexpr int kMaxKernelInRegisters = 7;

class Generator : public TileGenerator {
 public:
  explicit Generator(const DepthwiseSpec& spec) : TileGenerator(spec.isa, spec.tile), spec_(spec) {}
  std::shared_ptr<const MachineCode> generate();

 private:
  const Reg64 x = rsi, xRow = rax, w = rdx, rows = rcx;

  void multiplyRow();

  const DepthwiseSpec spec_;
};

#define ARGUMENT(field) (ptr[args + static_cast<int>(offsetof(DepthwiseArguments, field))])

std::shared_ptr<const MachineCode> Generator::generate() {
  return generateTiles([&] { mov(x, ARGUMENT(x)); },
                       [&] {
                         Label nextRow, done;
                         mov(xRow, x);
                         add(x, ARGUMENT(xTileStep));
                         mov(w, ARGUMENT(w));
                         mov(rows, ARGUMENT(kernelRows));
                         test(rows, rows);
                         jz(done, T_NEAR);
                         align(32);
                         L(nextRow);
                         multiplyRow();
                         add(xRow, ARGUMENT(xRowStep));
                         add(w, spec_.kernel * vectorBytes());
                         dec(rows);
                         jnz(nextRow, T_NEAR);
                         L(done);
                       });
}

#undef ARGUMENT

// Each column of the input once, into every pixel whose window holds it.
void Generator::multiplyRow() {
  const bool inRegisters = spec_.kernel <= kMaxKernelInRegisters;
  const int firstWeight = sums();
  const int firstValue = firstWeight + (inRegisters ? spec_.kernel : 0);
  const int values = std::min(2, vectorRegisters() - firstValue);
  auto weightAt = [&](int tap) { return ptr[w + tap * vectorBytes()]; };
  if (inRegisters)
    for (int tap = 0; tap < spec_.kernel; ++tap) vmovups(wide(firstWeight + tap), weightAt(tap));
  for (int column = spec_.firstColumn; column < spec_.lastColumn; ++column) {
    Xmm value = wide(firstValue + column % values);
    bool loaded = false;
    for (int tap = 0; tap < spec_.kernel; ++tap) {
      const int start = column - tap * spec_.dilation;
      if (start < 0 || start % spec_.stride || start / spec_.stride >= spec_.tile.rows) continue;
      if (!loaded) {
        prefetcht0(ptr[xRow + column * vectorBytes() + spec_.fetchAhead]);
        vmovups(value, ptr[xRow + column * vectorBytes()]);
      }
      loaded = true;
      Xmm to = sum(start / spec_.stride, 0);
      if (inRegisters)
        vfmadd231ps(to, value, wide(firstWeight + tap));
      else
        vfmadd231ps(to, value, weightAt(tap));
    }
  }
}

}  // namespace

int DepthwiseSpec::maxPixels(int lanes, int kernel) {
  const int registers = lanes == 16 ? 32 : 16;
  return registers - 1 - (kernel <= kMaxKernelInRegisters ? kernel : 0);
}

Depthwise::Depthwise(const DepthwiseSpec& spec) {
  ensure(spec.tile.vectors == 1 &&
             spec.tile.rows <=
                 DepthwiseSpec::maxPixels(spec.isa.has(Isa::Avx512) ? 16 : 8, spec.kernel),
         "a tile fits in the vector registers");
  code_ = Generator(spec).generate();
  function_ = code_->entry<void (*)(const DepthwiseArguments*)>();
}

}  // namespace carnot
