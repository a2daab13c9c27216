#pragma once

#include <cstdint>

namespace carnot {

// A rectangle of elements to copy; strides in bytes.
struct CopyPatch {
  const char* from;
  char* to;
  int64_t rows, columns;
  int64_t fromRow, fromColumn, toRow, toColumn;
};

// Transposes patches whose rows lie one element apart in the source and whose columns lie one
// element apart in the destination: of elements of 1, 2, 4 and 8 bytes, compiled for one
// instruction set.
struct CopyTiles {
  void (*transpose[4])(const CopyPatch& patch);
};

const CopyTiles& copyTilesPortable();
const CopyTiles& copyTilesAvx2();
const CopyTiles& copyTilesAvx512();

}  // namespace carnot
