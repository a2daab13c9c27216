#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "codegen/cpu/tile.h"

namespace carnot {

class MachineCode;

// The code of one tile kernel: C[rows × columns] = epilogue(Σ_taps A_tap[rows × k] · B_tap[k ×
// columns]), float32. A's elements are broadcast from memory, so that rows of a matrix, pixels of
// an image and strided or dilated windows are the same to it.
struct BrgemmSpec {
  IsaSet isa;  // AVX-512: 16 lanes; AVX2: 8
  TileSpec tile;
  int k = 0;      // products of a tap; 0: BrgemmArguments::k
  int tailK = 0;  // products of each of BrgemmArguments::tailTaps taps that follow; 0: none follow
  int64_t aRowStride = 0, aKStride = sizeof(float);  // bytes
  // B's rows follow each other without gaps, tap after tap, in whole vectors. Else they lie
  // bRowStride apart, there is one tap, and with tile.maskLast the last vector has tailLanes lanes.
  bool packedB = true;
  // Of a packed B with k known: fetches a line of BrgemmArguments::prefetch into the second cache
  // every so many products, 1, 2, 4 or 8; 0: never.
  int prefetchEvery = 0;
  // Fetches A so many bytes ahead, a line for each row and tap of at most 32 products; 0: never.
  // For an A from memory, in pieces too short for the processor to foresee the next.
  int aFetchAhead = 0;
  // B is BrgemmArguments::b less `minus`, both packed, and left in `difference`, which may be
  // `minus` where there is one tile. For tiles that leave a register for each vector of B.
  bool difference = false;
  // A float of A and B is a pair of bfloat16, whose two products go into the sum; k counts pairs.
  // Needs Isa::Avx512Bf16.
  bool pairs = false;
  // A float of A is four uint8 and one of B four int8, whose products go into a sum of int32; k
  // counts fours. Then BrgemmArguments::columnTerms are added, and with rowTerms the product of a
  // row's and a column's factor; with `real` the sums become float32, which an epilogue needs.
  // Needs Isa::Avx512Vnni, or Isa::AvxVnni without AVX-512.
  bool fours = false;
  bool rowTerms = false, real = false;

  // The most rows that leave registers enough for `vectors`.
  static int maxRows(int lanes, int vectors, bool packedB = true);
  friend bool operator==(const BrgemmSpec&, const BrgemmSpec&) = default;
};

// Run-time arguments; strides in bytes. A's rows go on over the tiles.
struct BrgemmArguments {
  TileArguments c;
  const float* a = nullptr;
  const float* b = nullptr;
  const int64_t* tapOffsets = nullptr;  // of a, bytes
  int64_t taps = 1, tailTaps = 0;
  int64_t k = 0;
  int64_t bRowStride = 0;
  const float* prefetch = nullptr;  // what will be read next; never dereferenced
  const float* minus = nullptr;
  float* difference = nullptr;
  const int32_t* columnTerms = nullptr;    // whole vectors
  const int32_t* columnFactors = nullptr;  // likewise
  const int32_t* rowFactors = nullptr;     // they go on over the tiles, as A's rows
};

class Brgemm {
 public:
  // Throws Error (Internal) for a tile that the registers cannot hold, Error (Unsupported) for an
  // epilogue that has no vector code.
  explicit Brgemm(const BrgemmSpec& spec);

  void operator()(const BrgemmArguments& arguments) const { function_(&arguments); }
  // Moves arguments.prefetch behind what a call has fetched.
  void advancePrefetch(BrgemmArguments& arguments) const {
    arguments.prefetch += arguments.c.tiles * 16 *
                          (arguments.taps * linesOfTap_ + arguments.tailTaps * linesOfTailTap_);
  }
  size_t codeBytes() const;

 private:
  int64_t linesOfTap_ = 0, linesOfTailTap_ = 0;  // of 64 bytes, fetched ahead
  std::shared_ptr<const MachineCode> code_;
  void (*function_)(const BrgemmArguments*);
};

}  // namespace carnot
