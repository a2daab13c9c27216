#pragma once

#include "ops/onnx_node.h"

namespace carnot {

// Products of integers less their zero points, summed exactly, as int32.
void importMatMulInteger(OnnxNode& node);
void importConvInteger(OnnxNode& node);
// The same between quantized tensors, requantized: sums * (scales of a and b / scale of y).
void importQLinearMatMul(OnnxNode& node);
void importQLinearConv(OnnxNode& node);

}  // namespace carnot
