#include <cmath>
#include <limits>

#include "base/error.h"
#include "ops/expand.h"
#include "ops/onnx_affine_grid.h"
#include "ops/onnx_attention.h"
#include "ops/onnx_axes.h"
#include "ops/onnx_broadcast.h"
#include "ops/onnx_integer_products.h"
#include "ops/onnx_losses.h"
#include "ops/onnx_mappings.h"
#include "ops/onnx_node.h"
#include "ops/onnx_random.h"
#include "ops/onnx_recurrent_state.h"
#include "ops/onnx_rotary_embedding.h"
#include "ops/onnx_signal.h"
#include "ops/onnx_swish.h"
#include "ops/pointwise_activation.h"
#include "ops/pointwise_binary.h"
#include "ops/pointwise_unary.h"
#include "ops/where.h"

namespace carnot {

namespace {

using Ref = OnnxNode::Ref;

constexpr double kNoBound = std::numeric_limits<float>::max();

// --- nothing at all

void importIdentity(OnnxNode& node) { node.setOutput(0, node.requireInput(0)); }

// At inference Dropout passes its input on; its mask keeps everything.
void importDropout(OnnxNode& node) {
  Ref x = node.requireInput(0);
  bool training = node.hasInput(2) && node.requireConstantScalar(2) != 0;
  // A ratio of 0 drops nothing in training either.
  if (training && (!node.hasInput(1) || node.requireConstantScalar(1) != 0))
    node.unsupported("training_mode is true", "a model exported for inference");
  node.setOutput(0, x);
  if (!node.outputUsed(1)) return;
  // Before opset 10 the mask had the input's type.
  DType type = node.opset() < 10 ? node.dtypeOf(x) : DType::Bool;
  node.setOutput(1,
                 node.emit(Operator::of(Expand{.shape = node.shapeOf(x)}), {node.scalar(type, 1)}));
}

// --- constants

template <typename T>
Tensor vectorOf(DType dtype, const std::vector<T>& values) {
  Tensor tensor(dtype, {static_cast<int64_t>(values.size())});
  for (size_t i = 0; i < values.size(); ++i) {
    if constexpr (std::is_same_v<T, int64_t>)
      tensor.view().storeInt(static_cast<int64_t>(i), values[i]);
    else
      tensor.view().storeDouble(static_cast<int64_t>(i), values[i]);
  }
  return tensor;
}

void importConstant(OnnxNode& node) {
  auto value = [&]() -> Tensor {
    for (std::string_view name : {"value", "sparse_value"})
      if (node.hasAttribute(name)) return node.attributeTensor(name);
    if (node.hasAttribute("value_int"))
      return vectorOf(DType::I64, std::vector{node.attributeInt("value_int", 0)}).reshaped({});
    if (node.hasAttribute("value_float"))
      return Tensor::scalar(DType::F32, node.attributeFloat("value_float", 0));
    if (node.hasAttribute("value_ints"))
      return vectorOf(DType::I64, node.attributeInts("value_ints"));
    if (node.hasAttribute("value_floats"))
      return vectorOf(DType::F32, node.attributeFloats("value_floats"));
    if (node.hasAttribute("value_string") || node.hasAttribute("value_strings"))
      node.unsupported("a tensor of strings", "numbers");
    throw Error(ErrorCode::InvalidModel, "no attribute with the constant's value", "one of them");
  };
  node.setOutput(0, node.constant(value()));
}

// --- one operator with its inputs exchanged: Greater(a, b) is Less(b, a)

template <typename T>
void importSwapped(OnnxNode& node) {
  node.setOutput(0, node.emit(Operator::of(T{}), {node.requireInput(1), node.requireInput(0)}));
}

void importLegacyGreater(OnnxNode& node) {
  Ref b = legacyBroadcastOperand(node);
  node.setOutput(0, node.emit(Operator::of(Less{}), {b, node.requireInput(0)}));
}

// --- several operators

Ref sumOfInputs(OnnxNode& node) {
  Ref sum = node.requireInput(0);
  for (size_t i = 1; i < node.inputCount(); ++i)
    sum = node.emit(Operator::of(Add{}), {sum, node.requireInput(i)});
  return sum;
}

void importSum(OnnxNode& node) { node.setOutput(0, sumOfInputs(node)); }

void importMean(OnnxNode& node) {
  Ref sum = sumOfInputs(node);
  auto count = static_cast<double>(node.inputCount());
  node.setOutput(0, node.emit(Operator::of(Div{}), {sum, node.scalar(node.dtypeOf(sum), count)}));
}

// The lower bound first: an upper bound below it wins.
void importClip(OnnxNode& node, Ref low, Ref high) {
  Ref value = node.requireInput(0);
  if (low) value = node.emit(Operator::of(Max{}), {low, value});
  if (high) value = node.emit(Operator::of(Min{}), {high, value});
  node.setOutput(0, value);
}

void importClipByAttributes(OnnxNode& node) {
  DType dtype = node.dtypeOf(node.requireInput(0));
  // Exporters write "no bound" as the largest float.
  auto bound = [&](std::string_view name) {
    double value = node.attributeFloat(name, kNoBound);
    return std::abs(value) >= kNoBound ? Ref{} : node.scalar(dtype, value);
  };
  Ref low = bound("min"), high = bound("max");
  importClip(node, low, high);
}

void importClipByInputs(OnnxNode& node) {
  auto bound = [&](size_t i) { return node.hasInput(i) ? asScalar(node, node.input(i)) : Ref{}; };
  Ref low = bound(1), high = bound(2);
  importClip(node, low, high);
}

// x + bias below -lambd, x - bias above lambd, else 0.
void importShrink(OnnxNode& node) {
  Ref x = node.requireInput(0);
  DType dtype = node.dtypeOf(x);
  Ref bias = node.scalar(dtype, node.attributeFloat("bias", 0));
  double lambda = node.attributeFloat("lambd", 0.5);
  // No integer need hold the bounds.
  Ref real = isInteger(dtype) ? emitCast(node, x, DType::F64) : x;
  Ref above = node.emit(Operator::of(Less{}), {scalarLike(node, real, lambda), real});
  Ref below = node.emit(Operator::of(Less{}), {real, scalarLike(node, real, -lambda)});
  Ref down = node.emit(Operator::of(Sub{}), {x, bias});
  Ref up = node.emit(Operator::of(Add{}), {x, bias});
  Ref rest = node.emit(Operator::of(Where{}), {above, down, node.scalar(dtype, 0)});
  node.setOutput(0, node.emit(Operator::of(Where{}), {below, up, rest}));
}

// a sigmoid(alpha a) b.
void importSwiGlu(OnnxNode& node) {
  Ref gate = emitSwish(node, node.requireInput(0), node.attributeFloat("alpha", 1));
  node.setOutput(0, node.emit(Operator::of(Mul{}), {gate, node.requireInput(1)}));
}

}  // namespace

std::span<const OnnxMapping> onnxAliases() {
  static const OnnxMapping kRows[] = {
      {"", "Identity", 1, 0, importIdentity},
      {"", "Dropout", 1, 0, importDropout},
      {"", "Constant", 1, 0, importConstant},
      {"", "Greater", 1, 6, importLegacyGreater},
      {"", "Greater", 7, 0, importSwapped<Less>},
      {"", "GreaterOrEqual", 12, 0, importSwapped<LessOrEqual>},
      {"", "Sum", 1, 0, importSum},
      {"", "Mean", 1, 0, importMean},
      {"", "Clip", 1, 10, importClipByAttributes},
      {"", "Clip", 11, 0, importClipByInputs},
      {"", "Shrink", 9, 0, importShrink},
      {"", "AffineGrid", 20, 0, importAffineGrid},
      {"", "SwiGLU", 28, 0, importSwiGlu},
      {"", "RotaryEmbedding", 23, 0, importRotaryEmbedding},
      {"", "CausalConvWithState", 27, 0, importCausalConvWithState},
      {"", "TensorScatter", 24, 0, importTensorScatter},
      {"", "HannWindow", 17, 0, importHannWindow},
      {"", "HammingWindow", 17, 0, importHammingWindow},
      {"", "BlackmanWindow", 17, 0, importBlackmanWindow},
      {"", "MelWeightMatrix", 17, 0, importMelWeightMatrix},
      {"", "ConvInteger", 10, 0, importConvInteger},
      {"", "QLinearMatMul", 10, 0, importQLinearMatMul},
      {"", "QLinearConv", 10, 0, importQLinearConv},
      {"", "NegativeLogLikelihoodLoss", 12, 0, importNegativeLogLikelihoodLoss},
      {"", "SoftmaxCrossEntropyLoss", 12, 0, importSoftmaxCrossEntropyLoss},
      {"ai.onnx.preview", "FlexAttention", 1, 0, importFlexAttention},
      {"", "Bernoulli", 15, 0, importBernoulli},
      {"", "RandomUniform", 1, 0, importRandomUniform},
      {"", "RandomUniformLike", 1, 0, importRandomUniformLike},
      {"", "RandomNormal", 1, 0, importRandomNormal},
      {"", "RandomNormalLike", 1, 0, importRandomNormalLike},
      {"", "Multinomial", 7, 0, importMultinomial},
  };
  return kRows;
}

}  // namespace carnot
