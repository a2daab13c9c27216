#pragma once

#include <carnot/memory.h>

#include <cstddef>
#include <string_view>

namespace carnot {

// What every DeviceMemory refuses. Each throws Error (InvalidArgument) with what is there and what
// is needed.

// Unless `address`, found at `place`, is live with `bytes` behind it.
void requireLive(const DeviceMemory::Place& place, const void* address, size_t bytes,
                 std::string_view what);
// Unless it is the start of a live allocation, to be freed.
void requireStart(const DeviceMemory::Place& place, const void* base);
// Unless the process may read, or write, `bytes` of its own memory there.
void requireMapped(const void* address, size_t bytes, std::string_view what,
                   DeviceMemory::Access access);
// Of `count` values of `width` bytes; unless the width is 1, 2 or 4.
size_t bytesFilled(int width, size_t count);

}  // namespace carnot
