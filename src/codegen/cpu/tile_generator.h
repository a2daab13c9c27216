#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "codegen/cpu/assembler.h"
#include "codegen/cpu/scalar_emitter.h"
#include "codegen/cpu/tile.h"

namespace carnot {

// What generators of tile kernels share: sums in vector registers 0 … rows * vectors - 1
// (row-major), a loop over tiles, and C behind it: sums that start from it, the epilogue, stores.
// Arguments start with TileArguments, whose address stays in `args`.
class TileGenerator : public Assembler {
 protected:
  TileGenerator(IsaSet isa, const TileSpec& tile);

  // The whole function: before() once, then for each tile the sums' start, sums() and C.
  std::shared_ptr<const MachineCode> generateTiles(const std::function<void()>& before,
                                                   const std::function<void()>& body);

  Xbyak::Xmm wide(int index) const { return vector(index, vectorBytes()); }
  Xbyak::Xmm sum(int row, int v) const { return wide(row * tile_.vectors + v); }
  int sums() const { return tile_.rows * tile_.vectors; }

  // Loads AVX2's mask of the last vector into the last register and gives it; AVX-512 has it in k1.
  // Overwrites rax and rcx.
  Xbyak::Xmm tailMask();

  // Free to the body in each tile: rax, rcx, rdx, r9, r10, r11, r14. Free to the whole function:
  // rsi, rbp.
  const Xbyak::Reg64 args = rdi;

 private:
  const Xbyak::Reg64 offset = r8, tiles = rbx, vectorStride = r12, rowStride = r13, rowPlace = r15;
  const Xbyak::Reg64 tailLanes = r9, pointers = r10, place = r11, scratch = r14;

  bool masked(int v) const { return tile_.maskLast && v + 1 == tile_.vectors; }
  void forEachPlace(const std::function<void(int row, int v)>& body);
  void initializeSums();
  void addPartials();
  void placeOfPartials();
  void storeSums();
  void finishSums();
  int pointerAt(size_t operand) const;  // within TileArguments::pointers
  VectorSource operandSource(size_t operand, int v);
  void storeVector(const Xbyak::Xmm& value);  // at scratch + place
  VectorSink outputSink(size_t output);
  void fetchOperands();

  const TileSpec tile_;
  std::unique_ptr<ScalarEmitter> emitter_;
};

}  // namespace carnot
