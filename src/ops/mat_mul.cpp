#include "ops/mat_mul.h"

#include "base/error.h"
#include "ops/define.h"
#include "ops/elements.h"
#include "ops/onnx_einsum.h"
#include "ops/onnx_gemm.h"
#include "ops/onnx_node.h"
#include "ops/requirements.h"

namespace carnot {

// An operand as [batch..., rows, columns] with its transpose carried out.
static Shape matrixShape(const Shape& shape, bool transpose, bool rowVector) {
  if (shape.rank() == 1) return rowVector ? Shape{1, shape[0]} : Shape{shape[0], 1};
  Shape matrix = shape;
  if (transpose) std::swap(matrix[shape.rank() - 1], matrix[shape.rank() - 2]);
  return matrix;
}

static void infer(const MatMul& product, InferContext& context) {
  const Shape& left = context.shape(0);
  const Shape& right = context.shape(1);
  context.require(left.rank() >= 1 && right.rank() >= 1,
                  fmt::format("operands {} and {}", left.toString(), right.toString()),
                  "ranks of at least 1");
  context.require(
      (left.rank() > 1 || !product.transposeA) && (right.rank() > 1 || !product.transposeB),
      "a transposed vector", "rank 2 or more");
  context.requireSameDType(0, 1);
  const DType dtype = context.dtype(0);
  requireReal(context, 0);
  const Shape a = matrixShape(left, product.transposeA, true);
  const Shape b = matrixShape(right, product.transposeB, false);
  context.requireEqual(a[a.rank() - 1], b[b.rank() - 2],
                       fmt::format("inner dims of {} and {}", a.toString(), b.toString()));
  auto batch = [](const Shape& shape) {
    return Shape(std::vector<Dim>(shape.begin(), shape.end() - 2));
  };
  Shape out = broadcastShapes(context, batch(a), batch(b));
  if (left.rank() > 1) out.push(a[a.rank() - 2]);
  if (right.rank() > 1) out.push(b[b.rank() - 1]);
  context.setOutput(0, dtype, std::move(out));
}

namespace {

// Where the matrices of one operand lie.
struct Operand {
  std::vector<int64_t> batch;
  int64_t rows, columns, rowStride, columnStride;
};

Operand operandOf(std::span<const int64_t> dims, bool transpose, bool rowVector) {
  if (dims.size() == 1)
    return rowVector ? Operand{{}, 1, dims[0], 0, 1} : Operand{{}, dims[0], 1, 1, 0};
  const auto last = dims.last(2);
  std::vector<int64_t> batch(dims.begin(), dims.end() - 2);
  if (transpose) return {batch, last[1], last[0], 1, last[1]};
  return {batch, last[0], last[1], last[1], 1};
}

// Sums in T; integers wrap through uint64_t.
template <typename T>
void multiply(const Operand& a, const Operand& b, std::span<const int64_t> batch, const T* left,
              const T* right, auto&& store) {
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

}  // namespace

static void reference(const MatMul& product, const ReferenceContext& context) {
  const TensorView &x = context.in(0), &y = context.in(1), &out = context.out(0);
  const Operand a = operandOf(x.dims, product.transposeA, true);
  const Operand b = operandOf(y.dims, product.transposeB, false);
  const size_t batchRank = std::max(a.batch.size(), b.batch.size());
  const auto batch = out.dims.first(batchRank);
  if (isFloat(out.dtype)) {
    const auto left = loadDoubles(x), right = loadDoubles(y);
    multiply(a, b, batch, left.data(), right.data(),
             [&](int64_t i, double sum) { out.storeDouble(i, sum); });
    return;
  }
  const auto left = loadInts(x), right = loadInts(y);
  const std::vector<uint64_t> wideLeft(left.begin(), left.end());
  const std::vector<uint64_t> wideRight(right.begin(), right.end());
  multiply(a, b, batch, wideLeft.data(), wideRight.data(),
           [&](int64_t i, uint64_t sum) { out.storeInt(i, static_cast<int64_t>(sum)); });
}

static Cost cost(const MatMul& product, const CostContext& context) {
  const std::vector<int64_t> a = context.inputs[0].shape.concrete();
  const int64_t inner = product.transposeA ? a[a.size() - 2] : a.back();
  return {.flops = 2 * context.elements() * static_cast<double>(inner),
          .bytes = context.allBytes()};
}

static void importMatMul(OnnxNode& node) {
  node.setOutput(0,
                 node.emit(Operator::of(MatMul{}), {node.requireInput(0), node.requireInput(1)}));
}

template <>
const OpDef& definitionOf<MatMul>() {
  static const OpDef kRow = defineOperator<MatMul>("MatMul", Access::Window,
                                                   {{"", "MatMul", 1, 0, importMatMul},
                                                    {"", "Gemm", 1, 0, importGemm},
                                                    {"", "Einsum", 12, 0, importEinsum}});
  return kRow;
}

}  // namespace carnot
