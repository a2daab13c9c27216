#pragma once

#include <algorithm>
#include <memory>
#include <vector>

#include "kernels/cpu/matmul_problem.h"
#include "kernels/cpu/tile_kernels.h"
#include "kernels/cpu/tile_pointers.h"

namespace carnot {

// A product with a constant matrix, whose rows are those of all matrices of A.
struct PackedProblem : MatMulProblem {
  int64_t n = 0, k = 0;
  int bZero = -1;  // a constant that is packed with B
};
// Finds n and k; refuses what is no constant matrix, or a tail's operand that is not the same for
// all matrices of A.
std::optional<Refusal> findPacked(const Problem& problem, PackedProblem& product);

std::variant<Refusal, PackedProblem> packedProblem(const Problem& problem);

// Inputs read at run time: all but B and its zero point, unless the tail reads them too.
std::vector<int> packedInputs(const Problem& problem, const PackedProblem& product);

// B as panels of vectors * lanes columns, each [k][columns]; the last panel only as wide as it
// needs.
struct Panels {
  int lanes, vectors;
  int64_t n, k;

  int64_t width() const { return int64_t{vectors} * lanes; }
  int64_t count() const { return (n + width() - 1) / width(); }
  int64_t floats() const { return (n + lanes - 1) / lanes * lanes * k; }
  int64_t offset(int64_t panel) const { return panel * width() * k; }
  int vectorsOf(int64_t panel) const {
    return static_cast<int>(std::min<int64_t>(vectors, (n - panel * width() + lanes - 1) / lanes));
  }
};

// What is known before shapes are.
struct PackedProduct {
  StoredProblem stored;
  PackedProblem problem;
  Panels panels{};
  int rows = 0;  // of a tile, at most
  const float* weights = nullptr;
  std::vector<int> inputs;  // of the region, as run gets them
  size_t aPosition = 0;
  std::vector<size_t> operandPositions;
  BrgemmKernels kernels;

  // Sets where a run finds A and the tail's operands, by `stored` and `problem`.
  void findInputs();
  // C's strides, and one tap.
  BrgemmArguments tileArguments() const;
  // Of the outputs and of the tail's operands.
  TilePointers pointers(const RunArguments& arguments) const;
};

// Of `m` rows in all; of each matrix of A `rowsOfMatrix`, which matter when A is transposed.
std::unique_ptr<Executable> ordinaryProduct(const PackedProduct& owner, int64_t m,
                                            int64_t rowsOfMatrix);

// With 7 products of quarters for 8. A is not transposed, k is even, panels have 2 vectors and
// there are two of them, tiles have no more rows than leave registers for B's vectors.
constexpr int64_t kLeastRowsOfStrassen = 56;
std::unique_ptr<Executable> strassenProduct(const PackedProduct& owner, int64_t m);

}  // namespace carnot
