#include "ops/onnx_batch_norm.h"

#include "base/error.h"
#include "ops/batch_norm.h"
#include "ops/onnx_axes.h"
#include "ops/pointwise_binary.h"
#include "ops/pointwise_unary.h"

namespace carnot {

void importBatchNormalization(OnnxNode& node) {
  const bool training = node.opset() < 7    ? node.attributeInt("is_test", 0) == 0
                        : node.opset() < 14 ? false
                                            : node.attributeInt("training_mode", 0) != 0;
  if (training)
    node.unsupported("batch normalization in training mode", "its inference form",
                     "export the model in evaluation mode");
  for (size_t i = 1; i < node.outputCount(); ++i)
    if (node.outputUsed(i))
      node.unsupported(fmt::format("output {} (batch statistics) is used", i), "output 0 alone",
                       "export the model in evaluation mode");
  std::vector<OnnxNode::Ref> inputs;
  inputs.reserve(5);
  for (size_t i = 0; i < 5; ++i) inputs.push_back(node.requireInput(i));
  const double epsilon = node.attributeFloat("epsilon", 1e-5);
  if (node.opset() >= 9 || node.attributeInt("spatial", 1) != 0)
    return node.setOutput(0, node.emit(Operator::of(BatchNorm{epsilon}), inputs));

  const auto [x, scale, bias, mean, variance] =
      std::tuple(inputs[0], inputs[1], inputs[2], inputs[3], inputs[4]);
  OnnxNode::Ref deviation =
      node.emit(Operator::of(Add{}), {variance, scalarLike(node, variance, epsilon)});
  deviation = node.emit(Operator::of(Sqrt{}), {deviation});
  OnnxNode::Ref y = node.emit(Operator::of(Sub{}), {x, mean});
  y = node.emit(Operator::of(Div{}), {y, deviation});
  y = node.emit(Operator::of(Mul{}), {y, scale});
  node.setOutput(0, node.emit(Operator::of(Add{}), {y, bias}));
}

}  // namespace carnot
