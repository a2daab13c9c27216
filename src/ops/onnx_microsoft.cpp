#include "ops/onnx_microsoft.h"

#include <iterator>

#include "base/error.h"
#include "ops/onnx_axes.h"
#include "ops/onnx_nested.h"
#include "ops/onnx_rotary_embedding.h"
#include "ops/onnx_swish.h"
#include "ops/pointwise_activation.h"
#include "ops/pointwise_binary.h"
#include "ops/reduce.h"

namespace carnot {

namespace {

using Ref = OnnxNode::Ref;

template <bool Tanh>
void importBiasGelu(OnnxNode& node) {
  Ref x = node.requireInput(0);
  if (node.hasInput(1)) x = node.emit(Operator::of(Add{}), {x, node.input(1)});
  Gelu op{.approximate = Tanh ? "tanh" : "none"};
  node.setOutput(0, node.emit(Operator::of(op), {x}));
}

void importQuickGelu(OnnxNode& node) {
  node.setOutput(0, emitSwish(node, node.requireInput(0), node.attributeFloat("alpha", 1.702)));
}

void importBiasAdd(OnnxNode& node) {
  const Ref sum = node.emit(Operator::of(Add{}), {node.requireInput(0), node.requireInput(1)});
  node.setOutput(0, node.emit(Operator::of(Add{}), {sum, node.requireInput(2)}));
}

// The first half of x + bias times the Gelu of its second.
void importBiasSplitGelu(OnnxNode& node) {
  const Ref x = node.emit(Operator::of(Add{}), {node.requireInput(0), node.requireInput(1)});
  const auto axis = static_cast<int64_t>(node.rankOf(x)) - 1;
  const auto size = node.shapeOf(x)[static_cast<size_t>(axis)].tryConstant();
  if (!size) node.unsupported("halves of a symbolic size", "a constant one");
  const Ref gate = node.emit(Operator::of(Gelu{}), {emitSlice(node, x, axis, *size / 2, *size)});
  node.setOutput(0, node.emit(Operator::of(Mul{}), {emitSlice(node, x, axis, 0, *size / 2), gate}));
}

void importExpandDims(OnnxNode& node) {
  const Ref axis = node.requireInput(1);
  node.setOutput(
      0, emitNested(node, "Unsqueeze", 13, {node.requireInput(0), emitReshape(node, axis, {1})}));
}

void importTorchEmbedding(OnnxNode& node) {
  node.setOutput(0, emitNested(node, "Gather", 13, {node.requireInput(0), node.requireInput(1)}));
}

// In order of appearance; the outputs are values, where each element went, and counts.
void importMicrosoftUnique(OnnxNode& node) {
  const OnnxFields fields{{"sorted", int64_t{0}}};
  const std::vector<Ref> found =
      importNested(node, "Unique", 11, {node.requireInput(0)}, &fields, 4);
  const Ref outputs[] = {found[0], found[2], found[3]};
  for (size_t i = 0; i < std::size(outputs); ++i)
    if (node.outputUsed(i)) node.setOutput(i, outputs[i]);
}

// Between every row of one matrix and every row of another.
void importCDist(OnnxNode& node) {
  const std::string metric = node.attributeString("metric", "sqeuclidean");
  if (metric != "sqeuclidean" && metric != "euclidean")
    node.unsupported(fmt::format("metric {}", metric), "sqeuclidean or euclidean");
  const Ref a = ofRank(node, node.requireInput(0), 2, "[rows, size]");
  const Ref b = ofRank(node, node.requireInput(1), 2, "[rows, size]");
  const Shape x = node.shapeOf(a), y = node.shapeOf(b);
  const Ref apart = node.emit(Operator::of(Sub{}), {emitReshape(node, a, {x[0], 1, x[1]}),
                                                    emitReshape(node, b, {1, y[0], y[1]})});
  const ReduceKind kind = metric == "euclidean" ? ReduceKind::L2 : ReduceKind::SumSquare;
  node.setOutput(0, node.emit(Operator::of(Reduce{kind, {2}, false}), {apart}));
}

// What is ai.onnx's operator of the same name, as of an opset.
template <int Opset>
void importStandard(OnnxNode& node) {
  std::vector<Ref> inputs;
  for (size_t i = 0; i < node.inputCount(); ++i) inputs.push_back(node.input(i));
  const std::vector<Ref> outputs =
      importNested(node, node.type(), Opset, std::move(inputs), nullptr, node.outputCount());
  for (size_t i = 0; i < outputs.size(); ++i)
    if (outputs[i]) node.setOutput(i, outputs[i]);
}

void importSimplifiedLayerNormalization(OnnxNode& node) {
  node.setOutput(0, importNested(node, "RMSNormalization", 23,
                                 {node.requireInput(0), node.requireInput(1)})[0]);
}

constexpr std::string_view kDomain = "com.microsoft";

}  // namespace

std::span<const OnnxMapping> microsoftMappings() {
  static const OnnxMapping kRows[] = {
      {kDomain, "Gelu", 1, 0, importBiasGelu<false>},
      {kDomain, "BiasGelu", 1, 0, importBiasGelu<false>},
      {kDomain, "FastGelu", 1, 0, importBiasGelu<true>},
      {kDomain, "QuickGelu", 1, 0, importQuickGelu},
      {kDomain, "BiasAdd", 1, 0, importBiasAdd},
      {kDomain, "BiasSplitGelu", 1, 0, importBiasSplitGelu},
      {kDomain, "Attention", 1, 0, importMicrosoftAttention},
      {kDomain, "QAttention", 1, 0, importQAttention},
      {kDomain, "MultiHeadAttention", 1, 0, importMultiHeadAttention},
      {kDomain, "GroupQueryAttention", 1, 0, importGroupQueryAttention},
      {kDomain, "RotaryEmbedding", 1, 0, importMicrosoftRotaryEmbedding},
      {kDomain, "SkipLayerNormalization", 1, 0, importSkipLayerNormalization},
      {kDomain, "SkipSimplifiedLayerNormalization", 1, 0, importSkipSimplifiedLayerNormalization},
      // onnxruntime's, though it lives in the domain of ONNX.
      {"", "SimplifiedLayerNormalization", 1, 0, importSimplifiedLayerNormalization},
      {kDomain, "SimplifiedLayerNormalization", 1, 0, importSimplifiedLayerNormalization},
      {kDomain, "EmbedLayerNormalization", 1, 0, importEmbedLayerNormalization},
      {kDomain, "GroupNorm", 1, 0, importMicrosoftGroupNorm},
      {kDomain, "SkipGroupNorm", 1, 0, importSkipGroupNorm},
      {kDomain, "FusedMatMul", 1, 0, importFusedMatMul},
      {kDomain, "TransposeMatMul", 1, 0, importFusedMatMul},
      {kDomain, "FusedGemm", 1, 0, importFusedGemm},
      {kDomain, "FusedConv", 1, 0, importFusedConv},
      {kDomain, "NhwcConv", 1, 0, importNhwcConv},
      {kDomain, "NhwcFusedConv", 1, 0, importNhwcFusedConv},
      {kDomain, "ConvTransposeWithDynamicPads", 1, 0, importConvTransposeWithDynamicPads},
      {kDomain, "MatMulBnb4", 1, 0, importMatMulBnb4},
      {kDomain, "MatMulNBits", 1, 0, importMatMulNBits},
      {kDomain, "GatherBlockQuantized", 1, 0, importGatherBlockQuantized},
      {kDomain, "DynamicQuantizeMatMul", 1, 0, importDynamicQuantizeMatMul},
      {kDomain, "DynamicQuantizeLSTM", 1, 0, importDynamicQuantizeLstm},
      {kDomain, "MatMulInteger16", 1, 0, importMatMulInteger16},
      {kDomain, "MatMulIntegerToFloat", 1, 0, importMatMulIntegerToFloat},
      {kDomain, "QGemm", 1, 0, importQGemm},
      {kDomain, "QLinearConv", 1, 0, importMicrosoftQLinearConv},
      {kDomain, "NhwcMaxPool", 1, 0, importNhwcMaxPool},
      {kDomain, "QLinearAdd", 1, 0, importQLinearAdd},
      {kDomain, "QLinearMul", 1, 0, importQLinearMul},
      {kDomain, "QLinearConcat", 1, 0, importQLinearConcat},
      {kDomain, "QLinearWhere", 1, 0, importQLinearWhere},
      {kDomain, "QLinearLeakyRelu", 1, 0, importQLinearLeakyRelu},
      {kDomain, "QLinearSigmoid", 1, 0, importQLinearSigmoid},
      {kDomain, "QLinearSoftmax", 1, 0, importQLinearSoftmax},
      {kDomain, "QLinearAveragePool", 1, 0, importQLinearAveragePool},
      {kDomain, "QLinearGlobalAveragePool", 1, 0, importQLinearGlobalAveragePool},
      {kDomain, "QLinearReduceMean", 1, 0, importQLinearReduceMean},
      {kDomain, "QuantizeLinear", 1, 0, importStandard<19>},
      {kDomain, "DequantizeLinear", 1, 0, importStandard<19>},
      {kDomain, "GridSample", 1, 0, importStandard<16>},
      {kDomain, "Pad", 1, 0, importStandard<13>},
      {kDomain, "Range", 1, 0, importStandard<11>},
      {kDomain, "Trilu", 1, 0, importStandard<14>},
      {kDomain, "GatherND", 1, 0, importStandard<12>},
      {kDomain, "ExpandDims", 1, 0, importExpandDims},
      {kDomain, "TorchEmbedding", 1, 0, importTorchEmbedding},
      {kDomain, "Unique", 1, 0, importMicrosoftUnique},
      {kDomain, "CDist", 1, 0, importCDist},
  };
  return kRows;
}

}  // namespace carnot
