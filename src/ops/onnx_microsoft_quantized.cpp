#include "base/error.h"
#include "ops/concat.h"
#include "ops/onnx_axes.h"
#include "ops/onnx_broadcast.h"
#include "ops/onnx_microsoft.h"
#include "ops/onnx_nested.h"
#include "ops/pointwise_binary.h"
#include "ops/pointwise_unary.h"
#include "ops/quantize_linear.h"
#include "ops/where.h"

namespace carnot {

namespace {

using Ref = OnnxNode::Ref;

Ref emitMul(OnnxNode& node, Ref a, Ref b) { return node.emit(Operator::of(Mul{}), {a, b}); }

Ref dequantized(OnnxNode& node, Ref x, Ref scale, Ref zero) {
  zero = zero ? asScalar(node, zero) : scalarLike(node, x, 0);
  return node.emit(Operator::of(DequantizeLinear{}), {x, asScalar(node, scale), zero});
}
// Inputs i, i + 1 and i + 2: levels, scale, zero point.
Ref dequantized(OnnxNode& node, size_t i) {
  return dequantized(node, node.requireInput(i), node.requireInput(i + 1), node.input(i + 2));
}

// With the scale and zero point of inputs i and i + 1, on the levels of input `like` without one.
void setQuantized(OnnxNode& node, Ref y, size_t i, size_t like = 0) {
  const Ref zero = node.hasInput(i + 1) ? asScalar(node, node.input(i + 1))
                                        : scalarLike(node, node.requireInput(like), 0);
  node.setOutput(0, node.emit(Operator::of(QuantizeLinear{}),
                              {y, asScalar(node, node.requireInput(i)), zero}));
}

bool hasChannelsLast(const OnnxNode& node) {
  return node.attributeInt("channels_last", 0) != 0 && node.rankOf(node.requireInput(0)) > 2;
}

// The operator `type` on the real numbers of input 0, with its attributes; the channels of a pool
// may come last.
void importPool(OnnxNode& node, std::string_view type) {
  const bool last = hasChannelsLast(node);
  Ref x = dequantized(node, 0);
  if (last) x = channelsFirst(node, x);
  Ref y = importNested(node, type, 13, {x})[0];
  if (last) y = channelsLast(node, y);
  setQuantized(node, y, 3);
}

template <typename T>
void importPair(OnnxNode& node) {
  const Ref a = dequantized(node, 0), b = dequantized(node, 3);
  setQuantized(node, node.emit(Operator::of(T{}), {a, b}), 6);
}

}  // namespace

OnnxNode::Ref emitIntegerProduct(OnnxNode& node, OnnxNode::Ref a, OnnxNode::Ref b,
                                 OnnxNode::Ref aZero, OnnxNode::Ref bZero, OnnxNode::Ref aScale,
                                 OnnxNode::Ref bScale) {
  const Ref sums = emitNested(node, "MatMulInteger", 10, {a, b, aZero, bZero});
  return emitMul(node, emitCast(node, sums, DType::F32), emitMul(node, aScale, bScale));
}

void importDynamicQuantizeMatMul(OnnxNode& node) {
  const OnnxFields none;
  const std::vector<Ref> levels =
      importNested(node, "DynamicQuantizeLinear", 11, {node.requireInput(0)}, &none, 3);
  Ref y = emitIntegerProduct(node, levels[0], node.requireInput(1), levels[2], node.input(3),
                             levels[1], node.requireInput(2));
  if (node.hasInput(4)) y = node.emit(Operator::of(Add{}), {y, node.input(4)});
  node.setOutput(0, y);
}

// Integers of 16 bits, summed in 32.
void importMatMulInteger16(OnnxNode& node) {
  const auto wide = [&](size_t i) { return emitCast(node, node.requireInput(i), DType::I32); };
  node.setOutput(0, emitNested(node, "MatMul", 13, {wide(0), wide(1)}));
}

// The weights' levels are what is quantized; inputs and states, which onnxruntime rounds to 8 bits
// on the way, stay as they are.
void importDynamicQuantizeLstm(OnnxNode& node) {
  const auto weights = [&](size_t i, size_t scales) {
    Ref x = node.requireInput(i), scale = node.requireInput(scales), zero = node.input(scales + 1);
    const Dim directions = node.shapeOf(ofRank(node, x, 3, "[directions, size, 4 * hidden]"))[0];
    const auto broad = [&](Ref y) {
      const Shape shape = node.shapeOf(y);
      const Dim columns = shape.rank() == 2 ? shape[1] : Dim(1);
      return emitCast(node, emitReshape(node, y, {directions, 1, columns}), DType::F32);
    };
    Ref real = emitCast(node, x, DType::F32);
    if (zero) real = node.emit(Operator::of(Sub{}), {real, broad(zero)});
    return emitTranspose(node, emitMul(node, real, broad(scale)), {0, 2, 1});
  };
  std::vector<Ref> inputs = {node.requireInput(0), weights(1, 8), weights(2, 10)};
  for (size_t i = 3; i < 8; ++i) inputs.push_back(node.input(i));
  const std::vector<Ref> outputs = importNested(node, "LSTM", 14, std::move(inputs), nullptr, 3);
  for (size_t i = 0; i < outputs.size(); ++i)
    if (node.outputUsed(i)) node.setOutput(i, outputs[i]);
}

void importMatMulIntegerToFloat(OnnxNode& node) {
  Ref y = emitIntegerProduct(node, node.requireInput(0), node.requireInput(1), node.input(4),
                             node.input(5), node.requireInput(2), node.requireInput(3));
  if (node.hasInput(6)) y = node.emit(Operator::of(Add{}), {y, node.input(6)});
  node.setOutput(0, y);
}

void importQGemm(OnnxNode& node) {
  const auto transposed = [&](std::string_view name, Ref x) {
    return node.attributeInt(name, 0) != 0 ? emitTranspose(node, x, {1, 0}) : x;
  };
  const Ref a = transposed("transA", node.requireInput(0));
  const Ref b = transposed("transB", node.requireInput(3));
  Ref sums = emitNested(node, "MatMulInteger", 10, {a, b, node.input(2), node.input(5)});
  const Ref unit = emitMul(node, asScalar(node, node.requireInput(1)), node.requireInput(4));
  // The bias is in units of the scales' product.
  if (node.hasInput(6)) sums = node.emit(Operator::of(Add{}), {sums, node.input(6)});
  Ref y = emitMul(node, emitCast(node, sums, DType::F32), unit);
  const double alpha = node.attributeFloat("alpha", 1);
  if (alpha != 1) y = emitMul(node, y, scalarLike(node, y, alpha));
  if (node.hasInput(7)) return setQuantized(node, y, 7);
  node.setOutput(0, y);
}

void importQLinearAdd(OnnxNode& node) { importPair<Add>(node); }
void importQLinearMul(OnnxNode& node) { importPair<Mul>(node); }

void importQLinearConcat(OnnxNode& node) {
  std::vector<Ref> parts;
  for (size_t i = 2; i + 2 < node.inputCount(); i += 3) parts.push_back(dequantized(node, i));
  if (parts.empty()) throw Error(ErrorCode::InvalidModel, "no tensors", "one or more");
  const int64_t axis = importAxis(node, "axis", 0, node.rankOf(parts[0]));
  setQuantized(node, node.emit(Operator::of(Concat{.axis = axis}), parts), 0, 2);
}

void importQLinearWhere(OnnxNode& node) {
  const Ref a = dequantized(node, 1), b = dequantized(node, 4);
  setQuantized(node, node.emit(Operator::of(Where{}), {node.requireInput(0), a, b}), 7, 1);
}

void importQLinearLeakyRelu(OnnxNode& node) {
  setQuantized(node, importNested(node, "LeakyRelu", 16, {dequantized(node, 0)})[0], 3);
}

void importQLinearSigmoid(OnnxNode& node) {
  setQuantized(node, node.emit(Operator::of(Sigmoid{}), {dequantized(node, 0)}), 3);
}

void importMicrosoftQLinearConv(OnnxNode& node) {
  const bool last = hasChannelsLast(node);
  std::vector<Ref> inputs;
  for (size_t i = 0; i < node.inputCount(); ++i) inputs.push_back(node.input(i));
  if (last) inputs[0] = channelsFirst(node, inputs[0]);
  const Ref y = importNested(node, "QLinearConv", 10, std::move(inputs))[0];
  node.setOutput(0, last ? channelsLast(node, y) : y);
}

void importNhwcMaxPool(OnnxNode& node) {
  const Ref x = channelsFirst(node, node.requireInput(0));
  node.setOutput(0, channelsLast(node, importNested(node, "MaxPool", 12, {x})[0]));
}

void importQLinearSoftmax(OnnxNode& node) {
  const auto opset = static_cast<int>(node.attributeInt("opset", 13));
  if (opset < 1 || opset > 28)
    throw Error(ErrorCode::InvalidModel, fmt::format("opset {}", opset), "1 to 28");
  setQuantized(node, importNested(node, "Softmax", opset, {dequantized(node, 0)})[0], 3);
}

void importQLinearAveragePool(OnnxNode& node) { importPool(node, "AveragePool"); }
void importQLinearGlobalAveragePool(OnnxNode& node) { importPool(node, "GlobalAveragePool"); }

void importQLinearReduceMean(OnnxNode& node) {
  setQuantized(node, importNested(node, "ReduceMean", 13, {dequantized(node, 0)})[0], 3);
}

}  // namespace carnot
