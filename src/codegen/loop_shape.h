#pragma once

#include <compare>
#include <cstdint>
#include <span>
#include <vector>

#include "base/layout.h"
#include "codegen/loop.h"

namespace carnot {

// A loop at concrete dims: its axes merged into few nested loops.
//
//   for outer …  for row in rows:  [for lane in lanes:]  for repeat in repeats:  for i in length:
//   element
//
// Vectors run along `length`, or along `lanes` where the innermost axis is not reduced (`lanes` is
// 1 otherwise). Without reduced axes `length` is the innermost axis and `repeats` is 1.
struct LoopShape {
  // What generated code depends on.
  struct Variant {
    bool alongLanes = false;
    bool nested = false;  // repeats may exceed 1
    // By operand, how it lies along the vector axis: 0 is densely; n > 0 repeats its first n
    // elements (1: one element for all).
    std::vector<uint8_t> period;
    friend auto operator<=>(const Variant&, const Variant&) = default;
  };
  // Bytes from one index of each loop to its next.
  struct Strides {
    int64_t element = 0, repeat = 0, row = 0;
    std::vector<int64_t> outer;
    int64_t vector = 0;  // along the vector axis
  };

  Variant variant;
  int64_t length = 1, repeats = 1, lanes = 1, rows = 1;
  std::vector<int64_t> outer;
  std::vector<Strides> strides;  // by operand

  int64_t rowCount() const;  // outer and rows together
  bool empty() const { return rowCount() == 0 || lanes == 0; }
};

// One operand's tensor.
struct OperandDims {
  std::vector<int64_t> dims;  // logical; of a Count none
  Layout layout;
};

// `block`: of the channel-blocked layout that the loop runs in; 1 for a loop in plain layout. A
// blocked loop's operands are blocked by it, or plain with extent 1 at the channel axis. Where an
// operand is channels-last, the loop's innermost axis is that of the channels.
// `maxPeriod`: the largest period that the code can take.
// Throws Error (InvalidModel) when the dims do not broadcast, Error (Unsupported) when the reduced
// axes do not fit two loops.
LoopShape shapeLoop(const Loop& loop, std::span<const OperandDims> operands, int block,
                    int maxPeriod);

// Why some dims may not fit `shapeLoop`; "" when all do.
std::string refuseAxes(const Loop& loop, std::span<const TensorType> operandTypes);

}  // namespace carnot
