#pragma once

// Transposes of kTileBytes-wide square tiles in registers. Included once by each file that compiles
// them for its instruction set; everything has internal linkage.

#include <cstddef>
#include <utility>

#include "kernels/cpu/copy_tiles.h"

namespace carnot {
namespace {

template <typename T, int kSize>
struct Tile {
  typedef T Vector __attribute__((vector_size(sizeof(T) * kSize)));
  typedef T Unaligned __attribute__((vector_size(sizeof(T) * kSize), aligned(1), may_alias));

  // Elements of the halves of a and b that start at `first`, in turn.
  template <int kFirst, size_t... i>
  [[gnu::always_inline]] static Vector interleave(Vector a, Vector b, std::index_sequence<i...>) {
    return __builtin_shufflevector(a, b,
                                   (kFirst + (i % 2 ? kSize : 0) + static_cast<int>(i) / 2)...);
  }

  // Riffles the lines' first half with the second: after log2(kSize) times line i holds column i.
  template <size_t... i>
  [[gnu::always_inline]] static void riffle(Vector (&x)[kSize], std::index_sequence<i...>) {
    constexpr auto kAll = std::make_index_sequence<kSize>();
    Vector y[kSize];
    ((y[2 * i] = interleave<0>(x[i], x[i + kSize / 2], kAll),
      y[2 * i + 1] = interleave<kSize / 2>(x[i], x[i + kSize / 2], kAll)),
     ...);
    ((x[2 * i] = y[2 * i], x[2 * i + 1] = y[2 * i + 1]), ...);
  }

  template <size_t... i>
  [[gnu::always_inline]] static void transpose(const char* from, int64_t fromColumn, char* to,
                                               int64_t toRow, std::index_sequence<i...>) {
    Vector x[kSize];
    ((x[i] = *reinterpret_cast<const Unaligned*>(from + static_cast<int64_t>(i) * fromColumn)),
     ...);
    constexpr auto kHalf = std::make_index_sequence<kSize / 2>();
    riffle(x, kHalf);
    if constexpr (kSize > 2) riffle(x, kHalf);
    if constexpr (kSize > 4) riffle(x, kHalf);
    if constexpr (kSize > 8) riffle(x, kHalf);
    ((*reinterpret_cast<Unaligned*>(to + static_cast<int64_t>(i) * toRow) = x[i]), ...);
  }
};

template <typename T>
void elementwise(const CopyPatch& patch) {
  typedef T Element __attribute__((aligned(1), may_alias));
  constexpr int64_t kBytes = sizeof(T);
  auto move = [&](int64_t row, int64_t column) {
    *reinterpret_cast<Element*>(patch.to + row * patch.toRow + column * kBytes) =
        *reinterpret_cast<const Element*>(patch.from + row * kBytes + column * patch.fromColumn);
  };
  if (patch.rows < patch.columns) {
    for (int64_t row = 0; row < patch.rows; ++row)
      for (int64_t column = 0; column < patch.columns; ++column) move(row, column);
  } else {
    for (int64_t column = 0; column < patch.columns; ++column)
      for (int64_t row = 0; row < patch.rows; ++row) move(row, column);
  }
}

// The last tiles of a row or column reach back over the ones before.
template <typename T>
void transpose(const CopyPatch& patch) {
  constexpr int kFit = kTileBytes / static_cast<int>(sizeof(T)), kSize = kFit < 16 ? kFit : 16;
  if (patch.rows < kSize || patch.columns < kSize) return elementwise<T>(patch);
  constexpr int64_t kBytes = sizeof(T);
  for (int64_t i = 0; i < patch.rows; i += kSize) {
    const int64_t row = i + kSize <= patch.rows ? i : patch.rows - kSize;
    for (int64_t j = 0; j < patch.columns; j += kSize) {
      const int64_t column = j + kSize <= patch.columns ? j : patch.columns - kSize;
      Tile<T, kSize>::transpose(patch.from + row * kBytes + column * patch.fromColumn,
                                patch.fromColumn, patch.to + row * patch.toRow + column * kBytes,
                                patch.toRow, std::make_index_sequence<kSize>());
    }
  }
}

constexpr CopyTiles kTiles{
    {transpose<uint8_t>, transpose<uint16_t>, transpose<uint32_t>, transpose<uint64_t>}};

}  // namespace
}  // namespace carnot
