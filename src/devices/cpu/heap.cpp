#include "devices/cpu/heap.h"

#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "base/error.h"
#include "base/memory_limits.h"
#include "devices/addresses.h"
#include "devices/cpu/cpu.h"
#include "devices/device.h"

namespace carnot {
namespace {

constexpr size_t kPage = 4096, kLargePage = size_t{2} << 20;
constexpr size_t kMargin = size_t{64} << 20;  // between device memory and that of others
// Far more than any machine's memory, so that addresses come round late; less where the process may
// not have as much.
constexpr size_t kReserve = size_t{16} << 40, kLeastReserve = size_t{1} << 30;

size_t roundUp(size_t bytes, size_t unit) { return (bytes + unit - 1) / unit * unit; }

struct Reserve {
  std::byte* data;
  size_t bytes;
};

Reserve reserve() {
  for (size_t bytes = kReserve; bytes >= kLeastReserve; bytes /= 2) {
    void* data =
        mmap(nullptr, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (data != MAP_FAILED) return {static_cast<std::byte*>(data), bytes};
  }
  throw Error(ErrorCode::OutOfMemory, "no range of addresses for device memory",
              fmt::format("{} bytes of address space", kLeastReserve),
              "raise the limit on virtual memory (ulimit -v)");
}

}  // namespace

CpuMemory::CpuMemory() : book_(0, 0) {
  Reserve reserved = reserve();
  reserved_ = reserved.data;
  reservedBytes_ = reserved.bytes;
  auto begin = reinterpret_cast<uintptr_t>(reserved_);
  book_ = AddressBook(begin, begin + reservedBytes_, kMargin);
}

CpuMemory::~CpuMemory() { munmap(reserved_, reservedBytes_); }

std::string CpuMemory::model() const { return hostTraits(1).model; }

void* CpuMemory::allocate(size_t bytes) {
  if (bytes == 0)
    throw Error(ErrorCode::InvalidArgument, "0 bytes of device memory asked for", "1 or more");
  const MemoryLimits limits = memoryLimits();
  auto refuse = [&] {
    throw Error(ErrorCode::OutOfMemory,
                fmt::format("{} bytes of device memory asked for; {} bytes are free, of {} by {}",
                            bytes, limits.free, limits.total, limits.holder),
                "", "free what is no longer used, raise the limit, or ask for less");
  };
  if (bytes > limits.free) refuse();
  bool large = bytes >= kLargePage;
  size_t size = roundUp(bytes, large ? kLargePage : kPage);

  std::lock_guard lock(mutex_);
  uintptr_t base = book_.take(size, large ? kLargePage : kPage, bytes);
  if (!base) refuse();
  void* data = reinterpret_cast<void*>(base);  // NOLINT(performance-no-int-to-ptr)
  bool committed = mprotect(data, size, PROT_READ | PROT_WRITE) == 0;
  if (committed && large) madvise(data, size, MADV_HUGEPAGE);
#ifdef MADV_POPULATE_WRITE
  // Taken now, as on a device of its own; where the system cannot, pages come when first written.
  if (committed && madvise(data, size, MADV_POPULATE_WRITE) != 0)
    committed = errno != ENOMEM && errno != EFAULT;
#endif
  if (!committed) {
    madvise(data, size, MADV_DONTNEED);
    mprotect(data, size, PROT_NONE);
    book_.giveBack(base);
    refuse();
  }
  return data;
}

void CpuMemory::release(void* base) {
  if (!base) return;
  std::lock_guard lock(mutex_);
  auto address = reinterpret_cast<uintptr_t>(base);
  requireStart(book_.find(address), base);
  size_t size = book_.giveBack(address);
  madvise(base, size, MADV_DONTNEED);
  mprotect(base, size, PROT_NONE);
}

bool CpuMemory::isOurs(const void* address) const {
  auto* byte = static_cast<const std::byte*>(address);
  return byte >= reserved_ && byte < reserved_ + reservedBytes_;
}

DeviceMemory::Place CpuMemory::find(const void* address) const {
  if (!isOurs(address)) return {};
  std::lock_guard lock(mutex_);
  return book_.find(reinterpret_cast<uintptr_t>(address));
}

void CpuMemory::checkDevice(const void* address, size_t bytes, std::string_view what) const {
  requireLive(find(address), address, bytes, what);
}

void CpuMemory::checkUsable(const void* address, size_t bytes, std::string_view what,
                            Access access) const {
  if (isOurs(address)) return checkDevice(address, bytes, what);
  requireMapped(address, bytes, what, access);
}

void CpuMemory::copyToDevice(void* device, const void* host, size_t bytes) {
  checkDevice(device, bytes, "destination");
  if (bytes) std::memmove(device, host, bytes);
}

void CpuMemory::copyToHost(void* host, const void* device, size_t bytes) {
  checkDevice(device, bytes, "source");
  if (bytes) std::memmove(host, device, bytes);
}

void CpuMemory::copyOnDevice(void* to, const void* from, size_t bytes) {
  checkDevice(to, bytes, "destination");
  checkDevice(from, bytes, "source");
  if (bytes) std::memmove(to, from, bytes);
}

void CpuMemory::fill(void* device, uint32_t value, int width, size_t count) {
  const size_t bytes = bytesFilled(width, count);
  checkDevice(device, bytes, "destination");
  fillHost(device, value, width, count);
}

void* CpuMemory::allocateHost(size_t bytes) {
  void* base = std::aligned_alloc(kPage, roundUp(std::max<size_t>(bytes, 1), kPage));
  if (!base)
    throw Error(ErrorCode::OutOfMemory, fmt::format("{} bytes of the host asked for", bytes), "",
                "free what is no longer used, or ask for less");
  return base;
}

void CpuMemory::releaseHost(void* base) { std::free(base); }

DeviceMemory::Usage CpuMemory::usage() const {
  MemoryLimits limits = memoryLimits();
  std::lock_guard lock(mutex_);
  return {limits.free, limits.total, book_.liveBytes()};
}

}  // namespace carnot
