#pragma once

#include "codegen/cuda/product_source.h"

namespace carnot::cuda {

// What the code of a product on Hopper's tensor cores depends on beside its tail. A block of
// threads makes rows x columns of the result, or the part of it that comes from its share of k:
// one warp copies pieces of the operands to shared memory, each 64 rows' warps multiply them.
struct WgmmaVariant {
  DType dtype = DType::F16;  // F16, BF16, or F32 as TF32
  int rows = 128;            // 64 or 128
  int columns = 128;         // a multiple of 16, at most 256
  int stages = 4;            // pieces of k under way
  int split = 1;             // blocks of a cluster that share k: 1, 2, 4 or 8

  int threads() const { return rows * 2 + 32; }
  int pieceBytes() const { return (rows + columns) * 128; }  // of both operands
  int sharedBytes() const;
};

// Of the operands a piece holds 128 bytes of k, its rows of the result or its columns one after
// another, eight to an atom of 1024 bytes in which 16-byte units change places: unit u of row r
// lies at u ^ (r % 8). The weights lie so in memory: [matrix][piece of k][column].
inline constexpr int kPieceBytes = 128;

// The one structure that the function gets.
struct alignas(64) WgmmaArguments {
  unsigned char map[128] = {};  // the left operand's tensor map: [k, rows of all matrices]
  TailArguments tail;
  const void* left = nullptr;  // read element by element where `mapped` is 0
  const void* weights = nullptr;
  int64_t weightMatrix = 0;  // bytes from one matrix of weights to the next
  int32_t m = 0, n = 0, k = 0;
  int32_t leftMatrix = 0;  // rows of the left operand from one matrix to the next; 0: shared
  int32_t columns = 0;     // that the weights hold: n, rounded up to 8
  int32_t mapped = 1;
  int32_t wide = 1;  // the tail may move 8 elements at once
};

inline constexpr const char* kWgmmaFunction = "carnotProduct";

// CUDA C++ for compute capability 9.0a, self-contained. Blocks: those of a cluster, then tiles of
// rows, then of columns, then matrices.
std::string wgmmaSource(const WgmmaVariant& variant, const ProductTail& tail);

}  // namespace carnot::cuda
