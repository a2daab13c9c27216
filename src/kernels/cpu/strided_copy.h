#pragma once

#include <carnot/dtype.h>

#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <vector>

#include "devices/device.h"

namespace carnot {

class ThreadPool;
struct CopyTiles;
struct CopyPatch;

// Bytes that a thread moves at least.
constexpr int64_t kCopyGrain = 64 << 10;

// Bytes of an element, or 0 for types of less than a byte, which copies do not move.
int elementBytes(DType type);
// Why copies refuse tensors of the type and rank; empty: they do not.
std::string whyNotCopied(DType type, size_t rank);

// Tensors do not overlap. Short runs, the usual ones, are copied in place.
inline void copyBytes(char* to, const char* from, int64_t bytes) {
  auto move = [&]<int kBytes>(int64_t at) {
    char piece[kBytes];
    std::memcpy(piece, from + at, kBytes);
    std::memcpy(to + at, piece, kBytes);
  };
  if (bytes > 128) {
    std::memcpy(to, from, static_cast<size_t>(bytes));
  } else if (bytes >= 16) {
    for (int64_t at = 0; at < bytes - 16; at += 16) move.operator()<16>(at);
    move.operator()<16>(bytes - 16);
  } else if (bytes >= 8) {
    move.operator()<8>(0);
    move.operator()<8>(bytes - 8);
  } else if (bytes >= 4) {
    move.operator()<4>(0);
    move.operator()<4>(bytes - 4);
  } else {
    for (int64_t at = 0; at < bytes; ++at) to[at] = from[at];
  }
}

// Repeats an element of 1, 2, 4, 8 or 16 bytes.
void fillElements(char* to, const char* element, int64_t elementBytes, int64_t count);

// A box of elements copied from one strided tensor to another, as items of some 16 KiB.
class StridedCopy {
 public:
  // Strides in elements; those of the source may be 0 or negative. At most kMaxRank dims.
  static constexpr size_t kMaxRank = 32;
  StridedCopy(std::span<const int64_t> dims, std::span<const int64_t> fromStrides,
              std::span<const int64_t> toStrides, int elementBytes, IsaSet isa);

  int64_t items() const { return items_; }
  // Items that a thread takes at least.
  int64_t grain() const { return grain_; }
  void run(const void* from, void* to, int64_t begin, int64_t end) const;
  void run(const void* from, void* to, ThreadPool& pool) const;

 private:
  struct Axis {
    int64_t extent, from, to;  // strides in bytes
  };
  enum class Kind { Runs, Fill, Elements, Tiles };

  void chooseKind();
  void chooseBlocks();
  void copyPatch(const CopyPatch& patch) const;

  std::vector<Axis> axes_;  // the last two: rows and columns of patches
  int64_t elementBytes_;
  Kind kind_ = Kind::Runs;
  const CopyTiles* tiles_;
  int64_t rowBlock_ = 1, columnBlock_ = 1, rowBlocks_ = 1, columnBlocks_ = 1;
  int64_t items_ = 0, grain_ = 1;
};

}  // namespace carnot
