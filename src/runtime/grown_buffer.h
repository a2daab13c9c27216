#pragma once

#include <algorithm>
#include <memory>

#include "devices/device.h"

namespace carnot {

// Device memory that grows to what is asked for and stays.
class GrownBuffer {
 public:
  // At least `bytes`, aligned as the device allocates; contents are lost when it grows.
  void* atLeast(Device& device, size_t bytes) {
    bytes = std::max<size_t>(bytes, 64);
    if (!buffer_ || buffer_->bytes() < bytes) {
      buffer_ = nullptr;  // before its successor, or both would stand at once
      buffer_ = device.allocate(bytes);
    }
    return buffer_->data();
  }
  // The same with the first `used` bytes kept; room to spare, so that growth is rare.
  void* growTo(Device& device, size_t bytes, size_t used, Stream& stream) {
    if (buffer_ && buffer_->bytes() >= bytes) return buffer_->data();
    std::shared_ptr<Buffer> larger = device.allocate(std::max<size_t>(2 * bytes, 64));
    if (used > 0) {
      device.copyOnDevice(larger->data(), buffer_->data(), used, stream);
      stream.synchronize();
    }
    buffer_ = std::move(larger);
    return buffer_->data();
  }
  size_t bytes() const { return buffer_ ? buffer_->bytes() : 0; }
  void* data() const { return buffer_ ? buffer_->data() : nullptr; }

 private:
  std::shared_ptr<Buffer> buffer_;
};

}  // namespace carnot
