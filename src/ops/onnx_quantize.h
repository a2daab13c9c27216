#pragma once

#include "ops/onnx_node.h"

namespace carnot {

// Scales and zero points for a tensor, for an axis of it or in blocks along one.
void importQuantizeLinear(OnnxNode& node);
void importDequantizeLinear(OnnxNode& node);
// uint8 levels over the range that x and 0 span, with the scale and the zero point found.
void importDynamicQuantizeLinear(OnnxNode& node);

}  // namespace carnot
