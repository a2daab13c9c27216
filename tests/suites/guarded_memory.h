#pragma once

#include <cstddef>

namespace carnot::test {

// Bytes between two pages that may not be touched, so that an access beyond them ends the test.
class GuardedMemory {
 public:
  enum class Touching { Last, First };  // which end of the bytes lies at its page

  // The start is a multiple of `alignment`. What remains between the bytes and the pages is checked
  // by intact(): all before Touching::Last, all behind Touching::First.
  GuardedMemory(size_t bytes, size_t alignment, Touching touching = Touching::Last);
  ~GuardedMemory();
  GuardedMemory(const GuardedMemory&) = delete;
  GuardedMemory& operator=(const GuardedMemory&) = delete;

  void* data() const { return data_; }
  size_t bytes() const { return bytes_; }
  void fill(unsigned char byte);
  void forbidWrites();  // from here on
  bool intact() const;  // nothing was written around the bytes

 private:
  std::byte *mapping_ = nullptr, *room_ = nullptr, *roomEnd_ = nullptr, *data_ = nullptr;
  size_t bytes_, mapped_;
};

}  // namespace carnot::test
