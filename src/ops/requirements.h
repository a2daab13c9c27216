#pragma once

#include "ops/operator.h"

namespace carnot {

// What many operators ask of their inputs and attributes. Each throws Error (InvalidModel).

void requireFloat(const InferContext& context, size_t input);
// A floating-point or integer type.
void requireReal(const InferContext& context, size_t input);
void requireNumber(const InferContext& context, size_t input);  // real or complex
void requireIndexType(const InferContext& context, size_t input);  // int32 or int64
// An axis of input 0, non-negative.
void requireAxis(const InferContext& context, int64_t axis);
// No negative constant among the dims of a shape attribute.
void requireDims(const InferContext& context, const Shape& shape);
// [N, C] and at least one spatial dim.
void requireImage(const InferContext& context, size_t input);

}  // namespace carnot
