#include "ops/matrix_product.h"

#include "base/error.h"
#include "ops/requirements.h"

namespace carnot {

// An operand as [batch..., rows, columns] with its transpose carried out.
static Shape matrixShape(const Shape& shape, bool transpose, bool rowVector) {
  if (shape.rank() == 1) return rowVector ? Shape{1, shape[0]} : Shape{shape[0], 1};
  Shape matrix = shape;
  if (transpose) std::swap(matrix[shape.rank() - 1], matrix[shape.rank() - 2]);
  return matrix;
}

Shape inferMatrixProduct(InferContext& context, bool transposeA, bool transposeB) {
  const Shape& left = context.shape(0);
  const Shape& right = context.shape(1);
  context.require(left.rank() >= 1 && right.rank() >= 1,
                  fmt::format("operands {} and {}", left.toString(), right.toString()),
                  "ranks of at least 1");
  context.require((left.rank() > 1 || !transposeA) && (right.rank() > 1 || !transposeB),
                  "a transposed vector", "rank 2 or more");
  const Shape a = matrixShape(left, transposeA, true);
  const Shape b = matrixShape(right, transposeB, false);
  context.requireEqual(a[a.rank() - 1], b[b.rank() - 2],
                       fmt::format("inner dims of {} and {}", a.toString(), b.toString()));
  auto batch = [](const Shape& shape) {
    return Shape(std::vector<Dim>(shape.begin(), shape.end() - 2));
  };
  Shape out = broadcastShapes(context, batch(a), batch(b));
  if (left.rank() > 1) out.push(a[a.rank() - 2]);
  if (right.rank() > 1) out.push(b[b.rank() - 1]);
  return out;
}

MatrixOperand matrixOperand(std::span<const int64_t> dims, bool transpose, bool rowVector) {
  if (dims.size() == 1)
    return rowVector ? MatrixOperand{{}, 1, dims[0], 0, 1} : MatrixOperand{{}, dims[0], 1, 1, 0};
  const auto last = dims.last(2);
  std::vector<int64_t> batch(dims.begin(), dims.end() - 2);
  if (transpose) return {batch, last[1], last[0], 1, last[1]};
  return {batch, last[0], last[1], last[1], 1};
}

}  // namespace carnot
