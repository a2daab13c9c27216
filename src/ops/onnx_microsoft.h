#pragma once

#include <span>
#include <vector>

#include "ops/onnx_node.h"

namespace carnot {

// The fused operators of the domain com.microsoft, which onnxruntime's optimizers and some
// exporters write, as the operators they stand for.
std::span<const OnnxMapping> microsoftMappings();

void importMicrosoftAttention(OnnxNode& node);
void importQAttention(OnnxNode& node);
void importMultiHeadAttention(OnnxNode& node);
void importGroupQueryAttention(OnnxNode& node);

void importSkipLayerNormalization(OnnxNode& node);
void importSkipSimplifiedLayerNormalization(OnnxNode& node);
void importEmbedLayerNormalization(OnnxNode& node);
void importMicrosoftGroupNorm(OnnxNode& node);
void importSkipGroupNorm(OnnxNode& node);

void importFusedMatMul(OnnxNode& node);
void importFusedGemm(OnnxNode& node);
void importMatMulBnb4(OnnxNode& node);
void importMatMulNBits(OnnxNode& node);
void importGatherBlockQuantized(OnnxNode& node);

void importFusedConv(OnnxNode& node);
void importNhwcConv(OnnxNode& node);
void importNhwcFusedConv(OnnxNode& node);
void importConvTransposeWithDynamicPads(OnnxNode& node);

void importDynamicQuantizeMatMul(OnnxNode& node);
void importDynamicQuantizeLstm(OnnxNode& node);
void importMatMulInteger16(OnnxNode& node);
void importMatMulIntegerToFloat(OnnxNode& node);
void importQGemm(OnnxNode& node);
void importMicrosoftQLinearConv(OnnxNode& node);
void importNhwcMaxPool(OnnxNode& node);
void importQLinearAdd(OnnxNode& node);
void importQLinearMul(OnnxNode& node);
void importQLinearConcat(OnnxNode& node);
void importQLinearWhere(OnnxNode& node);
void importQLinearLeakyRelu(OnnxNode& node);
void importQLinearSigmoid(OnnxNode& node);
void importQLinearSoftmax(OnnxNode& node);
void importQLinearAveragePool(OnnxNode& node);
void importQLinearGlobalAveragePool(OnnxNode& node);
void importQLinearReduceMean(OnnxNode& node);

// The function that the attribute `activation` names, of x; none without it.
OnnxNode::Ref emitActivation(OnnxNode& node, OnnxNode::Ref x,
                             const std::vector<double>& parameters);
// x [N, spatial..., C] as [N, C, spatial...], and back.
OnnxNode::Ref channelsFirst(OnnxNode& node, OnnxNode::Ref x);
OnnxNode::Ref channelsLast(OnnxNode& node, OnnxNode::Ref x);
// The product of integers a and b less their zero points, times both scales, in float32.
OnnxNode::Ref emitIntegerProduct(OnnxNode& node, OnnxNode::Ref a, OnnxNode::Ref b,
                                 OnnxNode::Ref aZero, OnnxNode::Ref bZero, OnnxNode::Ref aScale,
                                 OnnxNode::Ref bScale);

}  // namespace carnot
