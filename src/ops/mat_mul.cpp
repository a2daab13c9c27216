#include "ops/mat_mul.h"

#include "base/error.h"
#include "ops/define.h"
#include "ops/elements.h"
#include "ops/matrix_product.h"
#include "ops/onnx_einsum.h"
#include "ops/onnx_gemm.h"
#include "ops/onnx_node.h"
#include "ops/requirements.h"

namespace carnot {

static void infer(const MatMul& product, InferContext& context) {
  Shape out = inferMatrixProduct(context, product.transposeA, product.transposeB);
  context.requireSameDType(0, 1);
  requireReal(context, 0);
  context.setOutput(0, context.dtype(0), std::move(out));
}

static void reference(const MatMul& product, const ReferenceContext& context) {
  const TensorView &x = context.in(0), &y = context.in(1), &out = context.out(0);
  const MatrixOperand a = matrixOperand(x.dims, product.transposeA, true);
  const MatrixOperand b = matrixOperand(y.dims, product.transposeB, false);
  const size_t batchRank = std::max(a.batch.size(), b.batch.size());
  const auto batch = out.dims.first(batchRank);
  if (isFloat(out.dtype)) {
    const auto left = loadDoubles(x), right = loadDoubles(y);
    multiplyMatrices(a, b, batch, left.data(), right.data(),
                     [&](int64_t i, double sum) { out.storeDouble(i, sum); });
    return;
  }
  const auto left = loadInts(x), right = loadInts(y);
  const std::vector<uint64_t> wideLeft(left.begin(), left.end());
  const std::vector<uint64_t> wideRight(right.begin(), right.end());
  multiplyMatrices(a, b, batch, wideLeft.data(), wideRight.data(),
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
