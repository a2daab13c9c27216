#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/tensor.h"

namespace carnot {

class ThreadPool;

// Instruction-set features that kernels ask for, as a set.
enum class Isa : uint32_t {
  Portable = 0,
  Avx2 = 1u << 0,    // AVX2 + FMA + F16C
  Avx512 = 1u << 1,  // F, BW, DQ, VL
  AvxVnni = 1u << 2,
  Avx512Vnni = 1u << 3,
  Avx512Bf16 = 1u << 4,
  Avx512Fp16 = 1u << 5,
  AmxInt8 = 1u << 6,
  AmxBf16 = 1u << 7,
};
struct IsaSet {
  uint32_t bits = 0;
  bool has(Isa isa) const {
    return (bits & static_cast<uint32_t>(isa)) == static_cast<uint32_t>(isa);
  }
  void add(Isa isa) { bits |= static_cast<uint32_t>(isa); }
  bool contains(IsaSet other) const { return (bits & other.bits) == other.bits; }
  friend bool operator==(IsaSet, IsaSet) = default;
};
std::string isaNames(IsaSet set);  // "avx2+avx512+avx512_vnni"; "portable" when empty
// "portable", "avx2", "avx512", "native" (what the host has), or names joined by '+'. Each level
// includes those below it. Throws Error (InvalidArgument) listing the names.
IsaSet parseIsa(std::string_view text);

// What the compiler may know of a device. Plain data, hashed into problems and engines.
struct DeviceTraits {
  std::string kind = "cpu";  // "cpu", "cuda"
  std::string model;         // "AMD EPYC 7B13", "NVIDIA H200"
  IsaSet isa;
  int threads = 1;
  size_t l1Bytes = 32 << 10, l2Bytes = 512 << 10, l3Bytes = 8 << 20;

  // Of a GPU, where l1Bytes is the shared memory that one block may have and l2Bytes the device's.
  int computeCapability = 0;  // 90 for 9.0
  int multiprocessors = 0;
  size_t memoryBytes = 0;
  double memoryBandwidth = 0;  // bytes per second, by its clock and width
  std::string libraries;       // "driver 13.0, NVRTC 13.0": of those that decide what runs

  // Whether instructions multiply pairs of bfloat16 into sums of float32.
  bool multipliesBf16() const { return isa.has(Isa::Avx512Bf16) || isa.has(Isa::AmxBf16); }
  // Floats in the widest vector: 16, 8, or 4 (portable).
  int floatLanes() const { return isa.has(Isa::Avx512) ? 16 : isa.has(Isa::Avx2) ? 8 : 4; }
  // All that kernels and their speed depend on: on the CPU kind, model, isa, threads and caches; on
  // a GPU kind, model, capability, multiprocessors, memory and libraries.
  std::string fingerprint() const;
};

class Event;

// In-order work on a device. On the CPU work is done when the call returns.
class Stream {
 public:
  virtual ~Stream() = default;
  virtual void synchronize() = 0;
  virtual bool idle() { return true; }  // whether all work issued so far is done
  // What is issued from now on waits for what the event was recorded after.
  virtual void wait(Event&) {}
  virtual ThreadPool* threadPool() { return nullptr; }  // CPU
  virtual void* native() { return nullptr; }            // cudaStream_t
};

class Event {
 public:
  virtual ~Event() = default;
  virtual void record(Stream& stream) = 0;
  virtual void synchronize() = 0;
  virtual bool reached() const { return true; }  // whether all that it was recorded after is done
  virtual double millisecondsSince(const Event& earlier) const = 0;
};

// Memory that work reads or writes, and that may lie elsewhere at another time.
struct MemoryRange {
  const void* data = nullptr;
  size_t bytes = 0;
  friend bool operator==(const MemoryRange&, const MemoryRange&) = default;
};

// Work issued to a stream, recorded to be launched as one.
class Recording {
 public:
  virtual ~Recording() = default;
  virtual void launch(Stream& stream) = 0;
  // Puts other addresses into it: `issue` would issue the work recorded before, on memory that lies
  // at `places`, as many as when it was recorded and all that may lie elsewhere. `issue` is not
  // called where earlier calls taught which addresses the work holds. What was launched before
  // stays as it was.
  virtual void update(Stream& stream, const std::function<void()>& issue,
                      std::span<const MemoryRange> places) = 0;
};

// Memory, copies and order on one device.
class Device {
 public:
  virtual ~Device() = default;
  virtual const DeviceTraits& traits() const = 0;
  // Whether host code and kernels use the same memory, so that nothing need be copied.
  virtual bool sharesHostMemory() const { return true; }
  // Whether kernels may use an application's address.
  virtual bool reaches(const void*) const { return true; }
  // Makes the calling thread one that may issue work. Streams, events and memory do so themselves;
  // kernels rely on their caller.
  virtual void activate() {}

  virtual std::shared_ptr<Buffer> allocate(size_t bytes) = 0;  // aligned to 64 at least
  // Of the host, of a kind that copies fastest and without holding up the caller.
  virtual std::shared_ptr<Buffer> allocateHost(size_t bytes) { return Buffer::allocate(bytes); }
  // Bytes that nobody has allocated.
  virtual size_t freeBytes() const = 0;
  // `afterDefault`: in order with what is issued to the device's default stream, as streams of
  // CUDA's runtime are.
  virtual std::unique_ptr<Stream> createStream(bool afterDefault = false) = 0;
  // A stream of the application by its native handle (null: the default one), which outlives what
  // is given. Where the device has no such handles, a stream of its own.
  virtual std::unique_ptr<Stream> streamAt(void* /*native*/) { return createStream(); }
  virtual std::unique_ptr<Event> createEvent() = 0;
  // In the stream's order. The host's memory may be used again when copyToDevice returns (if it is
  // allocateHost's, once the stream is synchronized), and holds the bytes once the stream is
  // synchronized after copyFromDevice.
  virtual void copyToDevice(void* dst, const void* src, size_t bytes, Stream& stream) = 0;
  virtual void copyFromDevice(void* dst, const void* src, size_t bytes, Stream& stream) = 0;
  virtual void copyOnDevice(void* dst, const void* src, size_t bytes, Stream& stream) = 0;
  // `count` values of `width` bytes (1, 2 or 4), each the low bytes of `value`.
  virtual void fill(void* dst, uint32_t value, int width, size_t count, Stream& stream) = 0;
  void fillZero(void* dst, size_t bytes, Stream& stream) { fill(dst, 0, 1, bytes, stream); }

  // Records what `issue` issues to the stream without running it; null where the device has
  // nothing to gain by it. `issue` may not wait for the stream. `places`: see Recording::update.
  virtual std::unique_ptr<Recording> record(Stream&, const std::function<void()>&,
                                            std::span<const MemoryRange> /*places*/ = {}) {
    return nullptr;
  }
};

// What the host processor has and the operating system saves; cached.
IsaSet hostIsa();
DeviceTraits hostTraits(int threads);

// The kinds that this process may open: "cpu", and those whose plugin loads.
std::vector<std::string> deviceKinds();
// Of the device of a kind that openDevice opens. `threads`: of the host. Throws Error (Unsupported)
// with the reason when there is none such here.
DeviceTraits deviceTraits(std::string_view kind, int threads);
// The device that `traits` are of. On the CPU one for each call; of other kinds one for the
// process.
std::shared_ptr<Device> openDevice(const DeviceTraits& traits);

}  // namespace carnot
