#include "ops/onnx_gemm.h"

#include "base/error.h"
#include "ops/mat_mul.h"
#include "ops/onnx_axes.h"
#include "ops/pointwise_binary.h"

namespace carnot {

void importGemm(OnnxNode& node) {
  const OnnxNode::Ref a = node.requireInput(0), b = node.requireInput(1);
  if (node.rankOf(a) != 2 || node.rankOf(b) != 2)
    throw Error(
        ErrorCode::InvalidModel,
        fmt::format("operands {} and {}", node.shapeOf(a).toString(), node.shapeOf(b).toString()),
        "rank 2");
  const MatMul product{.transposeA = node.attributeInt("transA", 0) != 0,
                       .transposeB = node.attributeInt("transB", 0) != 0};
  const double alpha = node.attributeFloat("alpha", 1), beta = node.attributeFloat("beta", 1);
  OnnxNode::Ref y = node.emit(Operator::of(product), {a, b});
  if (alpha != 1) y = node.emit(Operator::of(Mul{}), {y, scalarLike(node, y, alpha)});
  if (node.hasInput(2) && beta != 0) {
    OnnxNode::Ref c = node.input(2);
    if (beta != 1) c = node.emit(Operator::of(Mul{}), {c, scalarLike(node, c, beta)});
    y = node.emit(Operator::of(Add{}), {y, c});
  }
  node.setOutput(0, y);
}

}  // namespace carnot
