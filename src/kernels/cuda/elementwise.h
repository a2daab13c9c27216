#pragma once

#include <carnot/dtype.h>

#include <cstdint>
#include <string>

#include "kernels/cuda/launch.h"

// What kernels share whose threads step over independent elements, one grid's width at a time:
//   for (Index i = blockIdx.x * (Index)blockDim.x + threadIdx.x; i < count; i += step)

namespace carnot::cuda {

constexpr int kElementThreads = 256;  // of a block

// Blocks for so many threads' worth of elements, at most `waves` of them for each multiprocessor;
// none for no elements.
LaunchShape spread(int64_t elements, const DeviceTraits& device, int waves);

// The source's type `Index`: of 32 bits wherever a step beyond the last element fits them.
std::string indexType(int64_t elements);

// The type of one element, or of several neighbours, of 1, 2, 4, 8 or 16 bytes that are only moved.
const char* unitType(int bytes);

// Types `Value` (computed with) and `Memory` (stored), and `load` and `store` between them; after
// kScalarPrelude.
std::string elementTypes(DType type);

}  // namespace carnot::cuda
