#pragma once

#include <carnot/dtype.h>

#include <cstdint>

#include "base/tensor.h"

namespace carnot {

// Value ↔ code of the floating-point types of 16 bits or less. Rounds once, from the exact value.
// `saturate` and `rounding` matter to the types of 8 bits alone, as in ONNX's Cast.
double decodeFloat(DType type, uint32_t code);
uint32_t encodeFloat(DType type, double value, bool saturate = true,
                     ScaleRounding rounding = ScaleRounding::Up);
uint32_t encodeFloat(DType type, int64_t value, bool saturate = true,
                     ScaleRounding rounding = ScaleRounding::Up);

// Truncates; NaN and values outside int64's range give its minimum.
int64_t truncateToInt(double value);

}  // namespace carnot
