#pragma once

#include <algorithm>
#include <memory>
#include <mutex>
#include <vector>

#include "codegen/cpu/brgemm.h"

namespace carnot {

// The tile kernels that a bound kernel has generated so far. Thread-safe; references stay valid.
template <typename Spec, typename Code>
class TileKernels {
 public:
  const Code& get(const Spec& spec) const {
    std::lock_guard lock(mutex_);
    for (const Entry& entry : entries_)
      if (entry.spec == spec) return *entry.kernel;
    entries_.push_back({spec, std::make_unique<Code>(spec)});
    return *entries_.back().kernel;
  }

 private:
  struct Entry {
    Spec spec;
    std::unique_ptr<Code> kernel;
  };
  mutable std::mutex mutex_;
  mutable std::vector<Entry> entries_;
};

using BrgemmKernels = TileKernels<BrgemmSpec, Brgemm>;

// Cuts `count` rows into as few tiles of at most `most` as cover them, all of one of two sizes that
// differ by one: `large` tiles of `size` rows, then `small` of size - 1.
struct RowTiles {
  int size = 0;
  int64_t large = 0, small = 0;

  int64_t count() const { return large + small; }
  int64_t firstRow(int64_t tile) const { return tile * size - (tile > large ? tile - large : 0); }
};
inline RowTiles rowTiles(int64_t count, int most) {
  if (count == 0) return {};
  const int64_t tiles = (count + most - 1) / most;
  const int64_t size = (count + tiles - 1) / tiles;
  const int64_t small = tiles * size - count;
  return {static_cast<int>(size), tiles - small, small};
}

// Part `part` of `parts` of [0, count), as even as can be.
struct Range {
  int64_t begin = 0, end = 0;
  int64_t size() const { return end - begin; }
};
inline Range partOf(int64_t count, int64_t part, int64_t parts) {
  return {count * part / parts, count * (part + 1) / parts};
}

// How often tiles fetch the next panel of B ahead, so that `tiles` of them fetch it once: every so
// many products. 0 when so many tiles share a panel that waiting for it does not matter.
inline int prefetchEvery(int64_t tiles, int vectors, int lanes) {
  constexpr int64_t kManyTiles = 32;
  if (tiles > kManyTiles) return 0;
  const int64_t every = tiles * 16 / (int64_t{vectors} * lanes);
  return every >= 8 ? 8 : every >= 4 ? 4 : every >= 2 ? 2 : 1;
}

// Whether so many of `rows` rows, `stride` bytes apart, start in one set of a first cache that they
// would drive each other out. Its ways hold a page each.
inline bool rowsShareSets(int64_t stride, int rows, size_t l1Bytes) {
  int sets[64] = {}, most = 0;
  for (int row = 0; row < rows; ++row) most = std::max(most, ++sets[row * stride / 64 % 64]);
  return most > static_cast<int>(l1Bytes / 4096) - 4;
}

}  // namespace carnot
