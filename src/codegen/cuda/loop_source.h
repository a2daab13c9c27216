#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "codegen/loop_shape.h"

namespace carnot::cuda {

// What the code of a loop depends on beside the loop itself; dims and strides are its arguments.
struct LoopVariant {
  int outer = 0;             // loops outside the rows
  bool alongLanes = false;   // as LoopShape
  bool nested = false;       // likewise
  bool wideIndices = false;  // counts may exceed 32 bits
  // Neighbours that a thread takes at a time, densely; where `fixed` says so of an operand, all
  // elements of a row are one. Loops over rows: only of elements kept in registers, in rows whose
  // length is a multiple.
  int vector = 1;
  std::vector<bool> fixed;
  // Loops over rows: threads that share a row (32, one warp, or a whole block), and the elements
  // that each keeps in registers; 0: any number, kept between passes in the workspace.
  int threads = 32;
  int perThread = 0;
  friend auto operator<=>(const LoopVariant&, const LoopVariant&) = default;
};

// How the function is launched and what it gets: one structure of 64-bit words.
struct LoopLayout {
  static constexpr int kMaxOuter = 6;
  // Words of the structure: counts, then by operand its address and strides in bytes, then the
  // temporaries' addresses.
  enum Word : int {
    Length,
    Repeats,
    Lanes,
    Rows,
    Units,
    OuterExtents,
    Operands = OuterExtents + 6
  };
  enum OperandWord : int { Address, Element, Repeat, Row, Vector, Outer, OperandWords = Outer + 6 };
};

inline constexpr int kLoopBlock = 256;   // threads of a loop without rows; the most of warps' rows
inline constexpr int kLanesBlock = 32;   // lanes that a block takes
inline constexpr int kLanesThreads = 8;  // threads that share a lane's row
inline constexpr const char* kLoopFunction = "carnotLoop";
// Of a loop without rows, beside it: takes one element at a time, so that tensors may start
// anywhere.
inline constexpr const char* kLoopOfOnes = "carnotLoopOfOnes";

// CUDA C++ of the loop, self-contained.
std::string loopSource(const Loop& loop, const LoopVariant& variant);

// Why there is no code; nullopt when there is.
std::optional<std::string> refuseLoopSource(const Loop& loop);

}  // namespace carnot::cuda
