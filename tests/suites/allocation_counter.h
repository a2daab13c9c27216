#pragma once

#include <cstdint>

namespace carnot::testing {

// Calls of operator new in this process while one counter lives, on any thread.
class AllocationCounter {
 public:
  AllocationCounter();
  ~AllocationCounter();
  int64_t count() const;
};

}  // namespace carnot::testing
