#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "devices/device.h"
#include "ops/scalar.h"

namespace carnot {

// How an operand of an epilogue varies over a tile C[rows × vectors * lanes].
enum class EpilogueOperand : uint8_t {
  Scalar,   // one float
  Column,   // one a column: contiguous floats
  Row,      // one a row, at a run-time stride
  Element,  // one an element, strided as C
};

// A tile of float32 sums in registers and what becomes of them.
struct TileSpec {
  int rows = 1;
  int vectors = 1;          // of lanes columns each
  bool accumulate = false;  // starts from what pointers[0] holds, rather than zero
  int addends = 0;          // starts from the sum of so many TileArguments::addends, up to 2
  bool partial = false;     // leaves the sums in TileArguments::partial, and no epilogue
  bool maskLast = false;    // only `tailLanes` lanes of the last vector exist
  // From Input 0, the sum, and Input i, operands[i - 1]. Empty: the sum itself.
  ScalarProgram epilogue;
  std::vector<EpilogueOperand> operands;
  int fetchAhead = 0;  // of operands that are Element, bytes ahead of their reading; 0: never
  // Outputs go to memory past the caches; they start at, and rowStride is, a multiple of a vector's
  // bytes, and no lanes are masked.
  bool streams = false;
  friend bool operator==(const TileSpec&, const TileSpec&) = default;
};

// Where C lies, at run time; strides in bytes. Rows go on over `tiles` tiles of the spec's rows.
// Partial sums are whole vectors without gaps between rows.
struct TileArguments {
  void* const* pointers = nullptr;  // one for each output of the epilogue, then for each operand
  int64_t tiles = 1;
  int64_t rowStride = 0;
  int64_t vectorStride = 0;  // from one vector of columns to the next
  int64_t rowOperandStride = 0;
  int64_t tailLanes = 0;  // 1 … lanes
  const float* addends[2] = {};
  float* partial = nullptr;
};

// Why a program over float32 operands cannot be an epilogue.
std::optional<std::string> epilogueRefusal(const ScalarProgram& epilogue, IsaSet isa);

}  // namespace carnot
