#include "ops/mat_mul_integer.h"

#include "base/error.h"
#include "ops/define.h"
#include "ops/elements.h"
#include "ops/matrix_product.h"
#include "ops/onnx_integer_products.h"
#include "ops/requirements.h"

namespace carnot {

static void infer(const MatMulInteger&, InferContext& context) {
  for (size_t i = 0; i < 2; ++i) {
    const DType type = context.dtype(i);
    context.require(dtypeBits(type) == 8 && isInteger(type), fmt::format("{}", dtypeName(type)),
                    "int8 or uint8");
    if (!context.has(i + 2)) continue;
    context.requireSameDType(i, i + 2);
    const Shape &of = context.shape(i), &zero = context.shape(i + 2);
    context.require(broadcastShapes(context, of, zero) == of,
                    fmt::format("zero point {}", zero.toString()),
                    fmt::format("what broadcasts to {}", of.toString()));
  }
  context.setOutput(0, DType::I32, inferMatrixProduct(context, false, false));
}

static std::vector<int64_t> differences(const ReferenceContext& context, size_t i) {
  const TensorView& x = context.in(i);
  std::vector<int64_t> values = loadInts(x);
  if (!context.has(i + 2)) return values;
  const std::vector<double> zero = loadBroadcast(context.in(i + 2), x.dims);
  for (size_t k = 0; k < values.size(); ++k) values[k] -= static_cast<int64_t>(zero[k]);
  return values;
}

static void reference(const MatMulInteger&, const ReferenceContext& context) {
  const TensorView &x = context.in(0), &y = context.in(1), &out = context.out(0);
  const MatrixOperand a = matrixOperand(x.dims, false, true),
                      b = matrixOperand(y.dims, false, false);
  const auto left = differences(context, 0), right = differences(context, 1);
  const auto batch = out.dims.first(std::max(a.batch.size(), b.batch.size()));
  multiplyMatrices(a, b, batch, left.data(), right.data(), [&](int64_t i, int64_t sum) {
    out.storeInt(i, static_cast<int32_t>(static_cast<uint32_t>(sum)));
  });
}

static Cost cost(const MatMulInteger&, const CostContext& context) {
  const std::vector<int64_t> a = context.inputs[0].shape.concrete();
  return {.flops = 2 * context.elements() * static_cast<double>(a.back()),
          .bytes = context.allBytes()};
}

template <>
const OpDef& definitionOf<MatMulInteger>() {
  static const OpDef kRow = defineOperator<MatMulInteger>(
      "MatMulInteger", Access::Window, {{"", "MatMulInteger", 10, 0, importMatMulInteger}});
  return kRow;
}

}  // namespace carnot
