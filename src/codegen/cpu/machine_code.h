#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

namespace carnot {

// Generated x86 code in pages of its own: written once, then executable and never writable again.
class MachineCode {
 public:
  // Copies position-independent code. Throws Error (OutOfMemory).
  static std::shared_ptr<const MachineCode> make(std::span<const uint8_t> code);
  ~MachineCode();
  MachineCode(const MachineCode&) = delete;
  MachineCode& operator=(const MachineCode&) = delete;

  // The function that starts `offset` bytes in.
  template <typename Function>
  Function entry(size_t offset = 0) const {
    return reinterpret_cast<Function>(static_cast<uint8_t*>(pages_) + offset);
  }
  size_t bytes() const { return bytes_; }

 private:
  MachineCode(void* pages, size_t bytes) : pages_(pages), bytes_(bytes) {}
  void* pages_;
  size_t bytes_;
};

}  // namespace carnot
