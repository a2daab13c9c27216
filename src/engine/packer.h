#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace carnot {

// One buffer that must live from step `first` to step `last`, both included.
struct Lifetime {
  int64_t bytes = 0;
  int32_t first = 0, last = 0;
};

struct Packing {
  std::vector<int64_t> offsets;  // in the order given; multiples of 64
  int64_t totalBytes = 0;
};

// Places buffers so that no two that live at once overlap: a pure function, the same at build and
// at run time. Best fit in decreasing size, improved by a bounded local search.
Packing packOffsets(std::span<const Lifetime> lifetimes);

// The most bytes that live at any one step: no packing is smaller.
int64_t liveBytesBound(std::span<const Lifetime> lifetimes);

}  // namespace carnot
