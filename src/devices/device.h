#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

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
  bool has(Isa isa) const { return (bits & static_cast<uint32_t>(isa)) == static_cast<uint32_t>(isa); }
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

  // Floats in the widest vector: 16, 8, or 4 (portable).
  int floatLanes() const { return isa.has(Isa::Avx512) ? 16 : isa.has(Isa::Avx2) ? 8 : 4; }
  std::string fingerprint() const;  // kind, model, isa, threads, caches
};

// In-order work on a device. On the CPU work is done when the call returns.
class Stream {
 public:
  virtual ~Stream() = default;
  virtual void synchronize() = 0;
  virtual ThreadPool* threadPool() { return nullptr; }  // CPU
  virtual void* native() { return nullptr; }            // cudaStream_t
};

class Event {
 public:
  virtual ~Event() = default;
  virtual void record(Stream& stream) = 0;
  virtual void synchronize() = 0;
  virtual double millisecondsSince(const Event& earlier) const = 0;
};

// Memory, copies and order on one device.
class Device {
 public:
  virtual ~Device() = default;
  virtual const DeviceTraits& traits() const = 0;
  virtual std::shared_ptr<Buffer> allocate(size_t bytes) = 0;  // aligned to 64 at least
  virtual std::unique_ptr<Stream> createStream() = 0;
  virtual std::unique_ptr<Event> createEvent() = 0;
  virtual void copyToDevice(void* dst, const void* src, size_t bytes, Stream& stream) = 0;
  virtual void copyFromDevice(void* dst, const void* src, size_t bytes, Stream& stream) = 0;
  virtual void copyOnDevice(void* dst, const void* src, size_t bytes, Stream& stream) = 0;
  virtual void fillZero(void* dst, size_t bytes, Stream& stream) = 0;
};

// What the host processor has and the operating system saves; cached.
IsaSet hostIsa();
DeviceTraits hostTraits(int threads);
std::shared_ptr<Device> openCpu(const DeviceTraits& traits);

}  // namespace carnot
