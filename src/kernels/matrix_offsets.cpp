#include "kernels/matrix_offsets.h"

#include <algorithm>

#include "base/shape.h"

namespace carnot {

std::vector<int64_t> matrixOffsets(std::span<const int64_t> dims, size_t matrixAxes,
                                   std::span<const int64_t> batch) {
  const size_t matrix = std::min(matrixAxes, dims.size());
  const auto leading = dims.first(dims.size() - matrix);
  int64_t stride = elementCount(dims.last(matrix));
  std::vector<int64_t> strides(batch.size(), 0);
  for (size_t i = leading.size(); i-- > 0; stride *= leading[i])
    if (leading[i] != 1) strides[batch.size() - leading.size() + i] = stride;
  std::vector<int64_t> offsets(static_cast<size_t>(elementCount(batch)), 0);
  for (size_t i = 0; i < offsets.size(); ++i) {
    auto rest = static_cast<int64_t>(i);
    for (size_t axis = batch.size(); axis-- > 0; rest /= batch[axis])
      offsets[i] += rest % batch[axis] * strides[axis];
  }
  return offsets;
}

}  // namespace carnot
