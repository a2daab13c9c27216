#pragma once

#include <cstddef>
#include <string>

namespace carnot {

// Bytes of memory that this process may have: the machine's, or less where a control group or a
// resource limit (ulimit -v, ulimit -d) says so. What the system keeps of files is free.
struct MemoryLimits {
  size_t free = 0, total = 0;
  size_t swap = 0;                     // free bytes that `free` leaves out
  const char* holder = "the machine";  // whose limit `total` is
};
MemoryLimits memoryLimits();
// By the files below `root` alone: /proc and /sys/fs/cgroup of versions 1 and 2.
MemoryLimits memoryLimitsBelow(const std::string& root);

// Throws Error (OutOfMemory) when so many bytes more cannot be had: the system would refuse them,
// or end the process once it touches them. Small requests are summed up until a look pays.
void requireMemory(size_t bytes);
// Large buffers that live: what of them is not touched yet is no longer free.
void countMemory(size_t bytes);
void uncountMemory(size_t bytes);

}  // namespace carnot
