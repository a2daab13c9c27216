#include "kernels/cpu/strided_copy.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <bit>

#include "base/error.h"
#include "base/threads.h"
#include "kernels/cpu/copy_tiles.h"

namespace carnot {
namespace {

constexpr int64_t kPatchBytes = 16 << 10;
constexpr int64_t kTileElements = 64;  // along each side of a patch that is transposed

struct Element16 {
  uint64_t parts[2];
};

template <typename T>
void copyElements(const CopyPatch& patch) {
  for (int64_t row = 0; row < patch.rows; ++row) {
    const char* from = patch.from + row * patch.fromRow;
    char* to = patch.to + row * patch.toRow;
    for (int64_t column = 0; column < patch.columns; ++column) {
      T element;
      std::memcpy(&element, from + column * patch.fromColumn, sizeof element);
      std::memcpy(to + column * patch.toColumn, &element, sizeof element);
    }
  }
}

void copyElements(const CopyPatch& patch, int64_t elementBytes) {
  switch (elementBytes) {
    case 1:
      return copyElements<uint8_t>(patch);
    case 2:
      return copyElements<uint16_t>(patch);
    case 4:
      return copyElements<uint32_t>(patch);
    case 8:
      return copyElements<uint64_t>(patch);
    default:
      return copyElements<Element16>(patch);
  }
}

}  // namespace

int elementBytes(DType type) { return dtypeBits(type) / 8; }

std::string whyNotCopied(DType type, size_t rank) {
  if (elementBytes(type) == 0)
    return fmt::format("elements of {} take less than a byte", dtypeName(type));
  if (rank > StridedCopy::kMaxRank)
    return fmt::format("copies tensors of rank up to {}, not {}", StridedCopy::kMaxRank, rank);
  return {};
}

void fillElements(char* to, const char* element, int64_t elementBytes, int64_t count) {
  const int64_t bytes = elementBytes * count;
  if (bytes < 16) {
    for (int64_t at = 0; at < bytes; at += elementBytes) copyBytes(to + at, element, elementBytes);
    return;
  }
  char pattern[16];
  for (int64_t at = 0; at < 16; at += elementBytes) copyBytes(pattern + at, element, elementBytes);
  for (int64_t at = 0; at < bytes - 16; at += 16) std::memcpy(to + at, pattern, 16);
  std::memcpy(to + bytes - 16, pattern, 16);
}

StridedCopy::StridedCopy(std::span<const int64_t> dims, std::span<const int64_t> fromStrides,
                         std::span<const int64_t> toStrides, int elementBytes, IsaSet isa)
    : elementBytes_(elementBytes),
      tiles_(isa.has(Isa::Avx512) ? &copyTilesAvx512()
             : isa.has(Isa::Avx2) ? &copyTilesAvx2()
                                  : &copyTilesPortable()) {
  ensure(dims.size() <= kMaxRank, "a strided copy is of bounded rank");
  for (size_t i = 0; i < dims.size(); ++i) {
    if (dims[i] == 0) return;
    if (dims[i] == 1) continue;
    const Axis axis{dims[i], fromStrides[i] * elementBytes, toStrides[i] * elementBytes};
    if (!axes_.empty() && axes_.back().from == axis.extent * axis.from &&
        axes_.back().to == axis.extent * axis.to)
      axes_.back() = {axes_.back().extent * axis.extent, axis.from, axis.to};
    else
      axes_.push_back(axis);
  }
  chooseKind();
  chooseBlocks();
}

void StridedCopy::chooseKind() {
  auto isRun = [&](const Axis& axis) {
    return axis.from == elementBytes_ && axis.to == elementBytes_;
  };
  // Short runs of whole elements move as one.
  if (!axes_.empty() && isRun(axes_.back())) {
    const int64_t bytes = axes_.back().extent * elementBytes_;
    if (bytes <= 16 && std::has_single_bit(static_cast<uint64_t>(bytes))) {
      elementBytes_ = bytes;
      axes_.pop_back();
    }
  }
  while (axes_.size() < 2) axes_.insert(axes_.begin(), {1, elementBytes_, elementBytes_});
  const Axis& columns = axes_.back();
  if (isRun(columns)) {
    kind_ = Kind::Runs;
  } else if (columns.to != elementBytes_) {
    kind_ = Kind::Elements;
  } else if (columns.from == 0) {
    kind_ = Kind::Fill;
  } else {
    kind_ = Kind::Elements;
    const auto rows = std::find_if(axes_.begin(), axes_.end() - 1, [&](const Axis& axis) {
      return axis.from == elementBytes_ && axis.extent > 1;
    });
    if (rows == axes_.end() - 1 || elementBytes_ > 8) return;
    kind_ = Kind::Tiles;
    std::rotate(rows, rows + 1, axes_.end() - 1);
  }
}

void StridedCopy::chooseBlocks() {
  const Axis &rows = axes_[axes_.size() - 2], &columns = axes_.back();
  auto share = [&](int64_t other) {
    return std::max<int64_t>(1, kPatchBytes / (elementBytes_ * other));
  };
  if (kind_ == Kind::Tiles) {
    rowBlock_ = std::max(kTileElements, share(columns.extent));
    columnBlock_ = std::max(kTileElements, share(rows.extent));
  } else {
    rowBlock_ = share(columns.extent);
    columnBlock_ = share(1);
  }
  // The last block takes what is left over.
  rowBlocks_ = std::max<int64_t>(1, rows.extent / rowBlock_);
  columnBlocks_ = std::max<int64_t>(1, columns.extent / columnBlock_);
  items_ = rowBlocks_ * columnBlocks_;
  int64_t bytes = elementBytes_;
  for (const Axis& axis : axes_) bytes *= axis.extent;
  for (size_t i = 0; i + 2 < axes_.size(); ++i) items_ *= axes_[i].extent;
  grain_ = (kCopyGrain * items_ + bytes - 1) / bytes;
}

void StridedCopy::copyPatch(const CopyPatch& patch) const {
  switch (kind_) {
    case Kind::Runs:
      for (int64_t row = 0; row < patch.rows; ++row)
        copyBytes(patch.to + row * patch.toRow, patch.from + row * patch.fromRow,
                  patch.columns * elementBytes_);
      return;
    case Kind::Fill:
      for (int64_t row = 0; row < patch.rows; ++row)
        fillElements(patch.to + row * patch.toRow, patch.from + row * patch.fromRow, elementBytes_,
                     patch.columns);
      return;
    case Kind::Elements:
      return copyElements(patch, elementBytes_);
    case Kind::Tiles:
      return tiles_->transpose[std::countr_zero(static_cast<uint64_t>(elementBytes_))](patch);
  }
}

void StridedCopy::run(const void* from, void* to, int64_t begin, int64_t end) const {
  if (begin >= end) return;
  const size_t outer = axes_.size() - 2;
  const Axis &rows = axes_[outer], &columns = axes_[outer + 1];
  std::array<int64_t, kMaxRank> position;
  int64_t rest = begin;
  auto digit = [&](int64_t base) {
    const int64_t value = rest % base;
    rest /= base;
    return value;
  };
  int64_t columnBlock = digit(columnBlocks_), rowBlock = digit(rowBlocks_);
  auto* source = static_cast<const char*>(from);
  auto* target = static_cast<char*>(to);
  for (size_t i = outer; i-- > 0;) {
    position[i] = digit(axes_[i].extent);
    source += position[i] * axes_[i].from;
    target += position[i] * axes_[i].to;
  }
  for (int64_t item = begin;;) {
    const int64_t row = rowBlock * rowBlock_, column = columnBlock * columnBlock_;
    copyPatch({.from = source + row * rows.from + column * columns.from,
               .to = target + row * rows.to + column * columns.to,
               .rows = rowBlock + 1 < rowBlocks_ ? rowBlock_ : rows.extent - row,
               .columns = columnBlock + 1 < columnBlocks_ ? columnBlock_ : columns.extent - column,
               .fromRow = rows.from,
               .fromColumn = columns.from,
               .toRow = rows.to,
               .toColumn = columns.to});
    if (++item == end) return;
    if (++columnBlock < columnBlocks_) continue;
    columnBlock = 0;
    if (++rowBlock < rowBlocks_) continue;
    rowBlock = 0;
    for (size_t i = outer; i-- > 0;) {
      source += axes_[i].from;
      target += axes_[i].to;
      if (++position[i] < axes_[i].extent) break;
      source -= axes_[i].extent * axes_[i].from;
      target -= axes_[i].extent * axes_[i].to;
      position[i] = 0;
    }
  }
}

void StridedCopy::run(const void* from, void* to, ThreadPool& pool) const {
  pool.forRange(items_, grain_, [&](int64_t begin, int64_t end) { run(from, to, begin, end); });
}

}  // namespace carnot
