#pragma once

#include <array>

#include "codegen/cpu/tile.h"
#include "kernels/kernel.h"

namespace carnot {

// Outputs and operands of an epilogue together.
constexpr size_t kMaxTilePointers = 16;

// Where an epilogue's outputs and operands lie, and from that, where they start for a tile:
// TileArguments::pointers. Strides and places in floats.
class TilePointers {
 public:
  // `imageStride`: from one image, or matrix of a batch, to the next; 0 when all share one.
  void addOutput(void* base, int64_t imageStride) {
    add(base, EpilogueOperand::Element, imageStride);
  }
  void addOperand(const void* base, EpilogueOperand kind, int64_t imageStride) {
    add(const_cast<void*>(base), kind, imageStride);
  }

  // `element`: where the tile starts in an image of C; `column` and `row`: of its first in operands
  // of those kinds.
  void* const* at(int64_t image, int64_t element, int64_t column, int64_t row = 0) {
    for (size_t i = 0; i < count_; ++i) {
      int64_t offset = image * strides_[i];
      if (kinds_[i] == EpilogueOperand::Element) offset += element;
      if (kinds_[i] == EpilogueOperand::Column) offset += column;
      if (kinds_[i] == EpilogueOperand::Row) offset += row;
      pointers_[i] = bases_[i] + offset;
    }
    return pointers_.data();
  }

  // Whether outputs, and operands that lie as they do, start at multiples of so many bytes.
  bool elementsAligned(size_t bytes) const {
    for (size_t i = 0; i < count_; ++i)
      if (kinds_[i] == EpilogueOperand::Element &&
          reinterpret_cast<uintptr_t>(bases_[i]) % bytes != 0)
        return false;
    return true;
  }

 private:
  void add(void* base, EpilogueOperand kind, int64_t imageStride) {
    bases_[count_] = static_cast<float*>(base);
    strides_[count_] = imageStride;
    kinds_[count_++] = kind;
  }

  size_t count_ = 0;
  std::array<float*, kMaxTilePointers> bases_;
  std::array<int64_t, kMaxTilePointers> strides_;
  std::array<EpilogueOperand, kMaxTilePointers> kinds_;
  std::array<void*, kMaxTilePointers> pointers_;
};

}  // namespace carnot
