#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "ops/operator.h"

namespace carnot {

// What normalizations share.

// Mean and population variance.
struct Moments {
  double mean = 0, variance = 0;
};
Moments momentsOf(std::span<const double> values);

// Throws Error (InvalidModel) unless x is floating point, `axis` is one of its axes and the present
// inputs from 1 on broadcast to it. Output 0 is as x.
void inferRowNorm(InferContext& context, int64_t axis);
// Throws Error (InvalidModel) unless x is floating point [N, C, ...] and inputs 1..count are [C].
// Output 0 is as x.
void inferChannelNorm(InferContext& context, size_t count);

// y = (x - mean) / sqrt(variance + epsilon) * scale[c] + bias[c] over runs of `channels` channels
// of [N, C, inner], each with its own moments.
void normalizeChannels(const ReferenceContext& context, int64_t channels, double epsilon);

}  // namespace carnot
