#pragma once

#include "codegen/cuda/product_source.h"
#include "kernels/kernel.h"

namespace carnot {

// A region that is one MatMul of inputs with a pointwise tail behind it.
struct Product {
  // How a tensor that the tail reads spreads over the result.
  enum class Spread : uint8_t { One, PerColumn, PerMatrixColumn, PerRow, PerElement };
  struct Operand {
    int input = 0;  // of the region
    Spread spread = Spread::One;
  };
  int a = 0, b = 0;  // inputs of the region
  bool transposeA = false, transposeB = false;
  bool rowAxis = true;  // a is no vector
  DType dtype = DType::F32;
  bool tf32 = false;
  cuda::ProductTail tail = {};  // its operands are these, in order
  std::vector<Operand> operands = {};
  bool hasTail() const { return !tail.program.nodes.empty(); }
};

// The region as such, or why it is none that CUDA kernels know.
std::variant<Refusal, Product> readProduct(const Problem& problem);

// A product at concrete dims: matrices [m, k] and [k, n].
struct ProductShape {
  int64_t m = 1, n = 0, k = 0;
  std::vector<int64_t> aOffsets, bOffsets;  // of each matrix, in elements; none: nothing to do
  bool empty() const { return aOffsets.empty(); }
  int64_t matrices() const { return static_cast<int64_t>(aOffsets.size()); }
};
ProductShape shapeProduct(const Product& product, std::span<const int64_t> a,
                          std::span<const int64_t> b, std::span<const int64_t> result);
// The distance between matrices that lie evenly.
std::optional<int64_t> evenStride(const std::vector<int64_t>& offsets);

// Bytes from one matrix and one row of the result to the next in an operand of the tail.
cuda::TailOperand tailOperand(const Product& product, size_t operand, const ProductShape& shape);

}  // namespace carnot
