#pragma once

#include <cstddef>

namespace carnot {

// Bytes of memory that this process may have: the machine's, or less where a control group says so.
struct MemoryLimits {
  size_t free = 0, total = 0;
};
MemoryLimits memoryLimits();

}  // namespace carnot
