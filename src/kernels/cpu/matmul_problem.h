#pragma once

#include <optional>
#include <span>
#include <variant>
#include <vector>

#include "kernels/cpu/anchored.h"

namespace carnot {

// Sizes of one run and where each matrix of the batch starts, in floats; an output's matrices
// follow each other.
struct MatMulShapes {
  int64_t m = 1, n = 0, k = 0;
  std::vector<int64_t> aOffsets, bOffsets;
  std::vector<std::vector<int64_t>> operandOffsets;
};

// A product of float32 matrices over broadcast batches, with a tail.
struct MatMulProblem {
  AnchoredRegion region;
  int a = 0, b = 0;  // inputs of the region
  bool transposeA = false, transposeB = false;
  bool rowAxis = true;                 // a is no vector
  int64_t staticK = -1;                // when known
  std::vector<EpilogueOperand> kinds;  // of the tail's operands, within a matrix

  size_t matrixAxes() const { return rowAxis ? 2 : 1; }
  MatMulShapes shapesOf(const std::vector<TensorType>& concrete) const;
};

// Finds the kinds of the tail's operands, by `region` and `rowAxis`, or why they are none.
std::optional<Refusal> findOperandKinds(const Problem& problem, MatMulProblem& product);

// The same of MatMulInteger, and the inputs that hold its zero points; -1: absent.
struct IntegerMatMul : MatMulProblem {
  int aZero = -1, bZero = -1;
};
std::variant<Refusal, IntegerMatMul> integerMatMul(const Problem& problem,
                                                   TailRefusal tailRefusal = epilogueRefusal);
// Element i of int8 or uint8.
int32_t loadLevel(const void* data, DType dtype, int64_t i);

std::variant<Refusal, MatMulProblem> matMulProblem(const Problem& problem,
                                                   TailRefusal tailRefusal = epilogueRefusal);

}  // namespace carnot
