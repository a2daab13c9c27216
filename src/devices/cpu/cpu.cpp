#include <algorithm>
#include <chrono>
#include <cstring>
#include <utility>

#include "base/memory_limits.h"
#include "base/threads.h"
#include "devices/cpu/cpu.h"

namespace carnot {
namespace {

using Clock = std::chrono::steady_clock;

class CpuStream final : public Stream {
 public:
  explicit CpuStream(std::shared_ptr<ThreadPool> pool) : pool_(std::move(pool)) {}
  void synchronize() override {}
  ThreadPool* threadPool() override { return pool_.get(); }

 private:
  std::shared_ptr<ThreadPool> pool_;
};

class CpuEvent final : public Event {
 public:
  void record(Stream&) override { time_ = Clock::now(); }
  void synchronize() override {}
  double millisecondsSince(const Event& earlier) const override {
    const auto& other = static_cast<const CpuEvent&>(earlier);
    return std::chrono::duration<double, std::milli>(time_ - other.time_).count();
  }

 private:
  Clock::time_point time_{};
};

class CpuDevice final : public Device {
 public:
  explicit CpuDevice(DeviceTraits traits) : traits_(std::move(traits)) {}
  const DeviceTraits& traits() const override { return traits_; }
  size_t freeBytes() const override { return memoryLimits().free; }
  std::shared_ptr<Buffer> allocate(size_t bytes) override { return Buffer::allocate(bytes); }
  std::unique_ptr<Stream> createStream(bool) override {
    return std::make_unique<CpuStream>(ThreadPool::shared(traits_.threads));
  }
  std::unique_ptr<Event> createEvent() override { return std::make_unique<CpuEvent>(); }
  void copyToDevice(void* dst, const void* src, size_t bytes, Stream&) override {
    copy(dst, src, bytes);
  }
  void copyFromDevice(void* dst, const void* src, size_t bytes, Stream&) override {
    copy(dst, src, bytes);
  }
  void copyOnDevice(void* dst, const void* src, size_t bytes, Stream&) override {
    copy(dst, src, bytes);
  }
  void fill(void* dst, uint32_t value, int width, size_t count, Stream&) override {
    fillHost(dst, value, width, count);
  }

 private:
  static void copy(void* dst, const void* src, size_t bytes) {
    if (bytes) std::memmove(dst, src, bytes);
  }
  DeviceTraits traits_;
};

}  // namespace

std::shared_ptr<Device> openCpu(const DeviceTraits& traits) {
  return std::make_shared<CpuDevice>(traits);
}

void fillHost(void* dst, uint32_t value, int width, size_t count) {
  if (width == 1)
    std::fill_n(static_cast<uint8_t*>(dst), count, static_cast<uint8_t>(value));
  else if (width == 2)
    std::fill_n(static_cast<uint16_t*>(dst), count, static_cast<uint16_t>(value));
  else
    std::fill_n(static_cast<uint32_t*>(dst), count, value);
}

}  // namespace carnot
