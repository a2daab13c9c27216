#include "kernels/cpu/bf16_loops.h"

#include <cstring>

namespace {

constexpr int kLanes = 16;
typedef uint32_t Words __attribute__((vector_size(4 * kLanes)));
typedef uint16_t Halves __attribute__((vector_size(2 * kLanes)));

}  // namespace

void carnot::roundToBf16Avx512(const float* from, int64_t count, uint16_t* to) {
  for (int64_t i = 0; i < count; i += kLanes) {
    const auto lanes = static_cast<size_t>(count - i < kLanes ? count - i : kLanes);
    Words bits{};
    std::memcpy(&bits, from + i, lanes == kLanes ? sizeof bits : lanes * 4);
    const Words rounded = bits + 0x7FFF + ((bits >> 16) & 1);
    const Words isNan = (bits & 0x7FFFFFFF) > 0x7F800000U;
    const Halves result =
        __builtin_convertvector(((isNan & (bits | 0x400000)) | (~isNan & rounded)) >> 16, Halves);
    std::memcpy(to + i, &result, lanes == kLanes ? sizeof result : lanes * 2);
  }
}
