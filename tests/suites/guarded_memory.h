#pragma once

#include <cstddef>

namespace carnot::test {

// Bytes that end at a page which may not be touched, so that an access beyond them ends the test.
class GuardedMemory {
 public:
  // The start is a multiple of `alignment`; what that leaves between the end and the page is
  // checked by intact().
  GuardedMemory(size_t bytes, size_t alignment);
  ~GuardedMemory();
  GuardedMemory(const GuardedMemory&) = delete;
  GuardedMemory& operator=(const GuardedMemory&) = delete;

  void* data() const { return data_; }
  size_t bytes() const { return bytes_; }
  void fill(unsigned char byte);
  bool intact() const;  // nothing was written around the bytes

 private:
  std::byte *mapping_ = nullptr, *data_ = nullptr;
  size_t bytes_, mapped_;
};

}  // namespace carnot::test
