#pragma once

#include <cstdint>

namespace carnot {

// A panel of B for products: out[k][width] of `columns` present columns, zeros behind them.
// `stride`: floats between b's rows as they lie in memory, which are k's, or when transposed
// columns'.
void packPanel(const float* b, int64_t stride, bool transposed, int64_t k, int64_t columns,
               int64_t width, float* out);

// out[column * outStride + row] = from[row * stride + column].
void transposeBlock(const float* from, int64_t stride, int64_t rows, int64_t columns, float* out,
                    int64_t outStride);

}  // namespace carnot
