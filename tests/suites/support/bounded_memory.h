#pragma once

#include <sys/resource.h>
#include <unistd.h>

#include <cstddef>
#include <fstream>

namespace carnot::testing {

// While it lives the process gets no more than `bytes` of memory beside what it has: the system
// refuses them.
class BoundedMemory {
 public:
  explicit BoundedMemory(size_t bytes) {
    ::getrlimit(RLIMIT_DATA, &before_);
    size_t size = 0, resident = 0, shared = 0, text = 0, unused = 0, data = 0;
    std::ifstream("/proc/self/statm") >> size >> resident >> shared >> text >> unused >> data;
    rlimit bounded = before_;
    bounded.rlim_cur = data * static_cast<size_t>(::sysconf(_SC_PAGESIZE)) + bytes;
    ::setrlimit(RLIMIT_DATA, &bounded);
  }
  ~BoundedMemory() { ::setrlimit(RLIMIT_DATA, &before_); }
  BoundedMemory(const BoundedMemory&) = delete;
  BoundedMemory& operator=(const BoundedMemory&) = delete;

 private:
  rlimit before_{};
};

}  // namespace carnot::testing
