#pragma once

#include <array>
#include <vector>

#include "kernels/kernel.h"
#include "ops/attention.h"

namespace carnot {

// One Attention, with transposes of q, k and v before and of the result behind that move rows and
// nothing within them.
struct AttentionProblem {
  // Where [batch, heads, length, size] lie among the axes of a tensor in memory; size is last.
  using Axes = std::array<int64_t, 4>;
  static constexpr Axes kInOrder{0, 1, 2, 3};

  double scale = 1;
  Causal causal = Causal::None;
  int64_t size = 0, valueSize = 0;                          // of a query and a key; of a value
  int inputs[4] = {-1, -1, -1, -1};                         // of the region: q, k, v, mask
  Axes axes[4] = {kInOrder, kInOrder, kInOrder, kInOrder};  // of q, k, v and the output
};

// The problem as such, or why it is none. Sizes must be constants of at most `maxSize`.
std::variant<Refusal, AttentionProblem> readAttention(const Problem& problem, int64_t maxSize);

// Of one operand: dims of [batch, heads, length], and elements from one to the next.
struct AttentionPlace {
  int64_t batches = 0, heads = 0, length = 0;
  int64_t batchStride = 0, headStride = 0, rowStride = 0;

  AttentionPlace() = default;
  AttentionPlace(const AttentionProblem::Axes& axes, const std::vector<int64_t>& dims);
  int64_t offset(int64_t batch, int64_t head, int64_t row) const {
    return batch * batchStride + head * headStride + row * rowStride;
  }
};

}  // namespace carnot
