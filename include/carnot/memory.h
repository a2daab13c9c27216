#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace carnot {

// Memory of a device as programs written for CUDA know it: addresses that are allocated, copied to
// and from, given to a Context and freed. On the CPU it is host memory in a range of addresses that
// nothing else is ever given, so that an address that was freed, made up or overrun is known as
// such. On a GPU it is that of its driver, and addresses may be given again. May be used from
// several threads.
class DeviceMemory {
 public:
  virtual ~DeviceMemory() = default;

  virtual std::string_view kind() const = 0;  // "cpu"
  virtual std::string model() const = 0;      // "AMD EPYC 7B13"

  // Aligned to 256 bytes at least, contents undefined. Throws Error: InvalidArgument for no bytes,
  // OutOfMemory.
  virtual void* allocate(size_t bytes) = 0;
  // Throws Error (InvalidArgument) unless allocate gave the address and it is live; null is
  // ignored.
  virtual void release(void* base) = 0;

  struct Place {
    enum class Kind { Live, Freed, Foreign } kind = Kind::Foreign;
    // Of the allocation that the address lies in; of a freed one while it is remembered, else null.
    void* base = nullptr;
    size_t bytes = 0;
  };
  virtual Place find(const void* address) const = 0;

  enum class Access { Read, Write };
  // Whether `bytes` may be read or written there: live device memory with that much room, or, on
  // a device that shares the host's memory, any that the process has mapped. Throws Error
  // (InvalidArgument) that names `what` ("tensor x"), with what is there and what is needed.
  virtual void checkUsable(const void* address, size_t bytes, std::string_view what,
                           Access access) const = 0;
  // The same, of device memory alone.
  virtual void checkDevice(const void* address, size_t bytes, std::string_view what) const = 0;

  // In the order of the default stream (streams.h); done when the call returns. Throw Error
  // (InvalidArgument) unless the device's side is live and has room. Copies on the device may
  // overlap.
  virtual void copyToDevice(void* device, const void* host, size_t bytes) = 0;
  virtual void copyToHost(void* host, const void* device, size_t bytes) = 0;
  virtual void copyOnDevice(void* to, const void* from, size_t bytes) = 0;
  // `count` values of `width` bytes (1, 2 or 4), each the low bytes of `value`.
  virtual void fill(void* device, uint32_t value, int width, size_t count) = 0;

  // Memory of the host that the device copies from and to fastest; undefined contents, aligned to a
  // page. Throws Error (OutOfMemory). releaseHost takes what allocateHost gave, or null.
  virtual void* allocateHost(size_t bytes) = 0;
  virtual void releaseHost(void* base) = 0;

  // Returns when all that this process has issued to the device is done, whoever issued it.
  virtual void synchronize() = 0;

  struct Usage {
    size_t free = 0, total = 0;  // bytes of the device, for all programs
    size_t allocated = 0;        // bytes that allocate has given out and that are live
  };
  virtual Usage usage() const = 0;
};

// That of deviceInfo(): the device that CARNOT_DEVICE names, else a GPU if there is one to be used,
// else the CPU. Throws Error (Unsupported) where CARNOT_DEVICE names one that is not there.
DeviceMemory& deviceMemory();

}  // namespace carnot
