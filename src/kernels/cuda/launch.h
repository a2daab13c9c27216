#pragma once

#include <cstdint>

#include "devices/cuda/driver.h"
#include "devices/device.h"

namespace carnot::cuda {

struct LaunchShape {
  uint32_t blocks = 1, threads = 1;
  uint32_t sharedBytes = 0;  // beside what the function declares
  // Blocks that work together; divides `blocks`.
  uint32_t cluster = 1;
  // The function may start while the one before it still runs: it waits by itself before it
  // touches memory that others write or read (kOverlapPrelude).
  bool overlapped = false;
};

// Issues a function of one structure.
void launch(CUfunction function, const LaunchShape& shape, void* structure, Stream& stream);
inline void launch(CUfunction function, uint32_t blocks, uint32_t threads, void* structure,
                   Stream& stream) {
  launch(function, LaunchShape{.blocks = blocks, .threads = threads}, structure, stream);
}

// Lets the function's blocks have so many bytes of shared memory.
void allowShared(CUfunction function, int bytes);

}  // namespace carnot::cuda
