#pragma once

#include <carnot/memory.h>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <mutex>

namespace carnot {

// Ranges of a reserved stretch of addresses, given out in turn: an address is not given again
// before all others have been, so that a freed one stays known. Keeps books only; no memory is
// touched.
class AddressBook {
 public:
  // Of [begin, end), of which `margin` bytes at either side are given to nobody: an address a
  // little off a range is in the stretch still.
  AddressBook(uintptr_t begin, uintptr_t end, size_t margin = 0)
      : begin_(begin), end_(end), first_(begin + margin), last_(end - margin), cursor_(first_) {}

  // A range of `bytes` (a multiple of the alignment) at a multiple of `alignment`; 0 when there is
  // no gap that large.
  uintptr_t take(size_t bytes, size_t alignment, size_t asked);
  // Bytes that the range took, or 0 when none starts there.
  size_t giveBack(uintptr_t base);
  DeviceMemory::Place find(uintptr_t address) const;
  size_t liveBytes() const { return liveBytes_; }

 private:
  struct Range {
    size_t bytes = 0, asked = 0;
  };
  using Ranges = std::map<uintptr_t, Range>;
  static Ranges::const_iterator containing(const Ranges& ranges, uintptr_t address);
  uintptr_t gapFrom(uintptr_t start, size_t bytes, size_t alignment) const;
  void forget(uintptr_t first, uintptr_t last);

  uintptr_t begin_, end_, first_, last_, cursor_;
  Ranges live_, freed_;
  std::deque<uintptr_t> freedOrder_;  // oldest first; may name ranges forgotten since
  size_t liveBytes_ = 0;
};

// Host memory behind addresses of its own: pages are committed when allocated and given back to the
// system when freed.
class CpuMemory final : public DeviceMemory {
 public:
  CpuMemory();
  ~CpuMemory() override;
  CpuMemory(const CpuMemory&) = delete;
  CpuMemory& operator=(const CpuMemory&) = delete;

  std::string_view kind() const override { return "cpu"; }
  std::string model() const override;
  void* allocate(size_t bytes) override;
  void release(void* base) override;
  Place find(const void* address) const override;
  void checkUsable(const void* address, size_t bytes, std::string_view what,
                   Access access) const override;
  void checkDevice(const void* address, size_t bytes, std::string_view what) const override;
  void copyToDevice(void* device, const void* host, size_t bytes) override;
  void copyToHost(void* host, const void* device, size_t bytes) override;
  void copyOnDevice(void* to, const void* from, size_t bytes) override;
  void fill(void* device, uint32_t value, int width, size_t count) override;
  void* allocateHost(size_t bytes) override;
  void releaseHost(void* base) override;
  void synchronize() override {}
  Usage usage() const override;

 private:
  bool isOurs(const void* address) const;

  std::byte* reserved_ = nullptr;
  size_t reservedBytes_ = 0;
  mutable std::mutex mutex_;
  AddressBook book_;
};

}  // namespace carnot
