#include "kernels/cpu/pack_panels.h"

#include <algorithm>
#include <cstring>

namespace carnot {
namespace {

typedef float Four __attribute__((vector_size(16), aligned(4), may_alias));
typedef int32_t Order __attribute__((vector_size(16)));

void transpose4x4(const float* from, int64_t stride, float* out, int64_t outStride) {
  auto row = [&](int64_t i) { return *reinterpret_cast<const Four*>(from + i * stride); };
  const Four a = row(0), b = row(1), c = row(2), d = row(3);
  constexpr Order kLow{0, 4, 1, 5}, kHigh{2, 6, 3, 7}, kFirst{0, 1, 4, 5}, kSecond{2, 3, 6, 7};
  const Four abLow = __builtin_shuffle(a, b, kLow), abHigh = __builtin_shuffle(a, b, kHigh);
  const Four cdLow = __builtin_shuffle(c, d, kLow), cdHigh = __builtin_shuffle(c, d, kHigh);
  auto put = [&](int64_t i, Four value) { *reinterpret_cast<Four*>(out + i * outStride) = value; };
  put(0, __builtin_shuffle(abLow, cdLow, kFirst));
  put(1, __builtin_shuffle(abLow, cdLow, kSecond));
  put(2, __builtin_shuffle(abHigh, cdHigh, kFirst));
  put(3, __builtin_shuffle(abHigh, cdHigh, kSecond));
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
