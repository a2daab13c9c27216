#pragma once

#include <carnot/memory.h>
#include <carnot/streams.h>

#include <map>
#include <memory>
#include <mutex>

#include "devices/device.h"

namespace carnot {

// Over any kind of device, and its memory.
class StreamBook final : public DeviceStreams {
 public:
  StreamBook(std::shared_ptr<Device> device, DeviceMemory& memory);

  Handle createStream(bool afterDefault) override;
  void destroyStream(Handle stream) override;
  void checkStream(Handle stream) const override;
  void synchronize(Handle stream) override;
  bool isIdle(Handle stream) override;
  void wait(Handle stream, Handle event) override;
  Handle createEvent() override;
  void destroyEvent(Handle event) override;
  void record(Handle event, Handle stream) override;
  void synchronizeEvent(Handle event) override;
  bool isReached(Handle event) override;
  double millisecondsBetween(Handle start, Handle end) override;
  void copyToDevice(void* device, const void* host, size_t bytes, Handle stream) override;
  void copyToHost(void* host, const void* device, size_t bytes, Handle stream) override;
  void copyOnDevice(void* to, const void* from, size_t bytes, Handle stream) override;
  void fill(void* device, uint32_t value, int width, size_t count, Handle stream) override;

 private:
  struct Made {
    std::shared_ptr<Stream> stream;
    bool afterDefault = false;
  };
  struct Mark {
    std::unique_ptr<Event> event;
    bool recorded = false;
  };
  std::shared_ptr<Stream> find(Handle stream) const;
  std::shared_ptr<Mark> findEvent(Handle event) const;

  std::shared_ptr<Device> device_;
  DeviceMemory& memory_;
  mutable std::mutex mutex_;
  std::map<Handle, Made> streams_;
  // Destroyed ones, given again: a handle used too late is refused, and is never a driver's that is
  // none any more. Those after the default stream, and those beside it.
  std::map<Handle, std::shared_ptr<Stream>> free_[2];
  std::map<Handle, std::shared_ptr<Mark>> events_;
};

}  // namespace carnot
