#include "ops/requirements.h"

#include "base/error.h"
#include "base/limits.h"

namespace carnot {

static void requireType(const InferContext& context, size_t input, bool holds, const char* needs) {
  if (holds) return;
  throw Error(ErrorCode::InvalidModel,
              fmt::format("input {} of type {}", input, dtypeName(context.dtype(input))), needs);
}

void requireFloat(const InferContext& context, size_t input) {
  requireType(context, input, isFloat(context.dtype(input)), "a floating-point type");
}

void requireReal(const InferContext& context, size_t input) {
  const DType dtype = context.dtype(input);
  requireType(context, input, isFloat(dtype) || isInteger(dtype), "a real type");
}

void requireNumber(const InferContext& context, size_t input) {
  requireType(context, input, context.dtype(input) != DType::Bool, "a real or complex type");
}

void requireIndexType(const InferContext& context, size_t input) {
  const DType dtype = context.dtype(input);
  requireType(context, input, dtype == DType::I32 || dtype == DType::I64, "int32 or int64");
}

void requireAxis(const InferContext& context, int64_t axis) {
  if (axis >= 0 && axis < static_cast<int64_t>(context.rank(0))) return;
  throw Error(ErrorCode::InvalidModel, fmt::format("axis {}", axis),
              fmt::format("an axis of {}", context.shape(0).toString()));
}

void requireDims(const InferContext& context, const Shape& shape) {
  context.require(shape.rank() <= kMaxRank, fmt::format("rank {}", shape.rank()),
                  fmt::format("rank {} at most", kMaxRank));
  for (const Dim& dim : shape)
    if (auto size = dim.tryConstant(); size && *size < 0)
      context.require(false, "shape " + shape.toString(), "dims of at least 0");
}

void requireImage(const InferContext& context, size_t input) {
  if (context.rank(input) >= 3) return;
  throw Error(ErrorCode::InvalidModel,
              fmt::format("input {} of shape {}", input, context.shape(input).toString()),
              "[N, C] and at least one spatial dim");
}

}  // namespace carnot
