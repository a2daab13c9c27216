#pragma once

#include "ops/onnx_node.h"

namespace carnot {

// Input 1 of a binary node of before opset 7, whose attributes `broadcast` and `axis` say where its
// dims stand among input 0's: reshaped so that it broadcasts as NumPy does.
OnnxNode::Ref legacyBroadcastOperand(OnnxNode& node);

// A bound, slope or scale that models write with shape [1] though a scalar is meant: as rank 0.
OnnxNode::Ref asScalar(OnnxNode& node, OnnxNode::Ref value);

}  // namespace carnot
