#pragma once

#include <span>
#include <vector>

#include "ops/elements.h"
#include "ops/operator.h"

namespace carnot {

// What the operators that multiply matrices share, with NumPy's rules for ranks and batches.

// Of inputs 0 and 1. Throws what InferContext's requirements throw.
Shape inferMatrixProduct(InferContext& context, bool transposeA, bool transposeB);

// Where the matrices of one operand lie.
struct MatrixOperand {
  std::vector<int64_t> batch;
  int64_t rows, columns, rowStride, columnStride;
};
MatrixOperand matrixOperand(std::span<const int64_t> dims, bool transpose, bool rowVector);

// Sums in T; integers wrap through uint64_t.
template <typename T>
void multiplyMatrices(const MatrixOperand& a, const MatrixOperand& b,
                      std::span<const int64_t> batch, const T* left, const T* right, auto&& store) {
  const auto aBatch = broadcastStrides(a.batch, batch), bBatch = broadcastStrides(b.batch, batch);
  int64_t out = 0;
  forEachIndex(batch, [&](std::span<const int64_t> at) {
    const T* matrixA = left + offsetOf(at, aBatch) * a.rows * a.columns;
    const T* matrixB = right + offsetOf(at, bBatch) * b.rows * b.columns;
    for (int64_t row = 0; row < a.rows; ++row) {
      for (int64_t column = 0; column < b.columns; ++column) {
        T sum = 0;
        for (int64_t k = 0; k < a.columns; ++k)
          sum += matrixA[row * a.rowStride + k * a.columnStride] *
                 matrixB[k * b.rowStride + column * b.columnStride];
        store(out++, sum);
      }
    }
  });
}

}  // namespace carnot
