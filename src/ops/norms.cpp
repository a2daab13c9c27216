#include "ops/norms.h"

#include <cmath>

#include "base/error.h"
#include "ops/elements.h"
#include "ops/requirements.h"

namespace carnot {

Moments momentsOf(std::span<const double> values) {
  const auto count = static_cast<double>(values.size());
  Moments moments;
  for (double value : values) moments.mean += value / count;
  for (double value : values)
    moments.variance += (value - moments.mean) * (value - moments.mean) / count;
  return moments;
}

void inferRowNorm(InferContext& context, int64_t axis) {
  const Shape& x = context.shape(0);
  requireFloat(context, 0);
  requireAxis(context, axis);
  for (size_t i = 1; i < context.inputs.size(); ++i) {
    if (!context.has(i)) continue;
    requireFloat(context, i);
    const Shape& parameter = context.shape(i);
    const std::string what = fmt::format("input {} of shape {}", i, parameter.toString());
    context.require(parameter.rank() <= x.rank(), what,
                    fmt::format("one that broadcasts to {}", x.toString()));
    const size_t offset = x.rank() - parameter.rank();
    for (size_t at = 0; at < parameter.rank(); ++at)
      if (parameter[at] != Dim(1)) context.requireEqual(parameter[at], x[offset + at], what);
  }
  context.setOutput(0, context.dtype(0), x);
}

void inferChannelNorm(InferContext& context, size_t count) {
  const Shape& x = context.shape(0);
  requireFloat(context, 0);
  context.require(x.rank() >= 2, fmt::format("input of shape {}", x.toString()), "[N, C, ...]");
  for (size_t i = 1; i <= count; ++i) {
    requireFloat(context, i);
    const std::string what = fmt::format("input {} of shape {}", i, context.shape(i).toString());
    context.require(context.rank(i) == 1, what, "[C]");
    context.requireEqual(context.shape(i)[0], x[1], what + " and channels");
  }
  context.setOutput(0, context.dtype(0), x);
}

void normalizeChannels(const ReferenceContext& context, int64_t channels, double epsilon) {
  const TensorView &x = context.in(0), &y = context.out(0);
  const int64_t inner = elementCount(x.dims.subspan(2)), run = channels * inner;
  const std::vector<double> values = loadDoubles(x);
  const std::vector<double> scale = loadDoubles(context.in(1)), bias = loadDoubles(context.in(2));
  if (run == 0) return;
  for (size_t start = 0; start < values.size(); start += static_cast<size_t>(run)) {
    const Moments moments = momentsOf(std::span(values).subspan(start, static_cast<size_t>(run)));
    const double factor = 1 / std::sqrt(moments.variance + epsilon);
    for (size_t i = start; i < start + static_cast<size_t>(run); ++i) {
      const size_t channel = i / static_cast<size_t>(inner) % scale.size();
      y.storeDouble(static_cast<int64_t>(i),
                    (values[i] - moments.mean) * factor * scale[channel] + bias[channel]);
    }
  }
}

}  // namespace carnot
