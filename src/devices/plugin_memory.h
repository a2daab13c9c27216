#pragma once

#include <carnot/memory.h>

#include <deque>
#include <map>
#include <memory>
#include <mutex>

#include "devices/device.h"

namespace carnot {

// Memory of a device apart from the host. What it allocated and what was freed are known by their
// addresses, which the device's driver gives again. Other addresses that the device's kernels reach
// (a framework's tensors) are taken as they are.
class PluginMemory final : public DeviceMemory {
 public:
  explicit PluginMemory(std::shared_ptr<Device> device);

  std::string_view kind() const override { return device_->traits().kind; }
  std::string model() const override { return device_->traits().model; }
  void* allocate(size_t bytes) override;
  void release(void* base) override;
  Place find(const void* address) const override;
  void checkUsable(const void* address, size_t bytes, std::string_view what,
                   Access access) const override;
  // Live with that much room, or of another owner on the device.
  void checkDevice(const void* address, size_t bytes, std::string_view what) const override;
  void copyToDevice(void* device, const void* host, size_t bytes) override;
  void copyToHost(void* host, const void* device, size_t bytes) override;
  void copyOnDevice(void* to, const void* from, size_t bytes) override;
  void fill(void* device, uint32_t value, int width, size_t count) override;
  void* allocateHost(size_t bytes) override;
  void releaseHost(void* base) override;
  void synchronize() override;
  Usage usage() const override;

 private:
  using Allocations = std::map<const std::byte*, std::shared_ptr<Buffer>>;

  // The address is given out again; under the lock.
  void forgetFreed(const std::byte* base, size_t bytes);

  std::shared_ptr<Device> device_;
  std::unique_ptr<Stream> stream_;  // the default one
  mutable std::mutex books_;
  Allocations live_, host_;
  std::deque<std::pair<const std::byte*, size_t>> freed_;  // the last ones, oldest first
  size_t liveBytes_ = 0;
};

}  // namespace carnot
