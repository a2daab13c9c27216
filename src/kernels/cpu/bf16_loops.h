#pragma once

#include <cstdint>

namespace carnot {

// The nearest bfloat16, ties to even; NaN stays NaN.
void roundToBf16Avx512(const float* from, int64_t count, uint16_t* to);

}  // namespace carnot
