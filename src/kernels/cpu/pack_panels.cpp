#include "kernels/cpu/pack_panels.h"

#include <algorithm>
#include <cstring>

namespace carnot {
namespace {

typedef float Four __attribute__((vector_size(16), aligned(4), may_alias));

void transpose4x4(const float* from, int64_t stride, float* out, int64_t outStride) {
  auto row = [&](int64_t i) { return *reinterpret_cast<const Four*>(from + i * stride); };
  const Four a = row(0), b = row(1), c = row(2), d = row(3);
  // Elements 0 to 3 are the first operand's, 4 to 7 the second's.
  const Four abLow = __builtin_shufflevector(a, b, 0, 4, 1, 5);
  const Four abHigh = __builtin_shufflevector(a, b, 2, 6, 3, 7);
  const Four cdLow = __builtin_shufflevector(c, d, 0, 4, 1, 5);
  const Four cdHigh = __builtin_shufflevector(c, d, 2, 6, 3, 7);
  auto put = [&](int64_t i, Four value) { *reinterpret_cast<Four*>(out + i * outStride) = value; };
  put(0, __builtin_shufflevector(abLow, cdLow, 0, 1, 4, 5));
  put(1, __builtin_shufflevector(abLow, cdLow, 2, 3, 6, 7));
  put(2, __builtin_shufflevector(abHigh, cdHigh, 0, 1, 4, 5));
  put(3, __builtin_shufflevector(abHigh, cdHigh, 2, 3, 6, 7));
}

}  // namespace

void transposeBlock(const float* from, int64_t stride, int64_t rows, int64_t columns, float* out,
                    int64_t outStride) {
  const int64_t evenRows = rows / 4 * 4, evenColumns = columns / 4 * 4;
  for (int64_t row = 0; row < evenRows; row += 4)
    for (int64_t column = 0; column < evenColumns; column += 4)
      transpose4x4(from + row * stride + column, stride, out + column * outStride + row, outStride);
  for (int64_t row = 0; row < rows; ++row)
    for (int64_t column = row < evenRows ? evenColumns : 0; column < columns; ++column)
      out[column * outStride + row] = from[row * stride + column];
}

void packPanel(const float* b, int64_t stride, bool transposed, int64_t k, int64_t columns,
               int64_t width, float* out) {
  if (transposed) transposeBlock(b, stride, columns, k, out, width);
  for (int64_t i = 0; i < k; ++i) {
    float* to = out + i * width;
    if (!transposed) std::memcpy(to, b + i * stride, static_cast<size_t>(columns) * sizeof(float));
    std::fill(to + columns, to + width, 0.0f);
  }
}

}  // namespace carnot
