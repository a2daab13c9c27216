#pragma once

#include <cstdint>

namespace carnot::cuda {

// The nearest TF32 (ten bits of mantissa) of a float32's bits, ties away from zero, as the device's
// cvt.rna has it.
inline uint32_t roundedTf32(uint32_t bits) {
  if ((bits & 0x7f800000) == 0x7f800000) return bits;
  return (bits + 0x1000) & ~uint32_t{0x1fff};
}

}  // namespace carnot::cuda
