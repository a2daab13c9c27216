#include "devices/cpu/heap.h"

#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/error.h"
#include "devices/cpu/cpu.h"
#include "devices/cpu/memory_limits.h"
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

// Whether the process may read the byte, and write it if asked: the system tries, so that nothing
// faults. Where it may not say (EPERM), yes.
bool isMapped(const void* address, DeviceMemory::Access access) {
  std::byte value;
  iovec local{&value, 1}, remote{const_cast<void*>(address), 1};
  if (process_vm_readv(getpid(), &local, 1, &remote, 1, 0) != 1) return errno != EFAULT;
  if (access == DeviceMemory::Access::Read) return true;
  return process_vm_writev(getpid(), &local, 1, &remote, 1, 0) == 1 || errno != EFAULT;
}

std::string at(std::string_view what, const void* address) {
  return fmt::format("{} at {}", what, address);
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
  auto refuse = [&](size_t free) {
    throw Error(ErrorCode::OutOfMemory,
                fmt::format("{} bytes of device memory asked for; {} bytes are free", bytes, free),
                "", "free what is no longer used, or ask for less");
  };
  size_t free = memoryLimits().free;
  if (bytes > free) refuse(free);
  bool large = bytes >= kLargePage;
  size_t size = roundUp(bytes, large ? kLargePage : kPage);

  std::lock_guard lock(mutex_);
  uintptr_t base = book_.take(size, large ? kLargePage : kPage, bytes);
  if (!base) refuse(free);
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
    refuse(free);
  }
  return data;
}

void CpuMemory::release(void* base) {
  if (!base) return;
  std::lock_guard lock(mutex_);
  auto address = reinterpret_cast<uintptr_t>(base);
  Place place = book_.find(address);
  if (place.kind != Place::Kind::Live || place.base != base) {
    std::string has =
        place.kind == Place::Kind::Live
            ? fmt::format("{} lies inside an allocation that starts at {}", base, place.base)
        : place.kind == Place::Kind::Freed ? fmt::format("{} is freed device memory", base)
                                           : fmt::format("{} is not device memory", base);
    throw Error(ErrorCode::InvalidArgument, has, "the start of a live allocation",
                "free each allocation once, by the address that it was given");
  }
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

void CpuMemory::checkLive(const void* address, size_t bytes, std::string_view what) const {
  Place place = find(address);
  std::string needs = fmt::format("{} bytes of live device memory", bytes);
  if (place.kind == Place::Kind::Foreign)
    throw Error(ErrorCode::InvalidArgument, at(what, address) + " is not device memory", needs,
                "allocate it on the device first");
  if (place.kind == Place::Kind::Freed)
    throw Error(
        ErrorCode::InvalidArgument,
        at(what, address) + " is freed device memory" +
            (place.base ? fmt::format(" (of {} bytes, from {})", place.bytes, place.base) : ""),
        needs, "keep the allocation while its address is in use");
  size_t room = place.bytes - (static_cast<const std::byte*>(address) -
                               static_cast<const std::byte*>(place.base));
  if (bytes > room)
    throw Error(ErrorCode::InvalidArgument,
                fmt::format("{} has {} bytes of device memory", at(what, address), room),
                fmt::format("{} bytes", bytes), "allocate more");
}

void CpuMemory::checkUsable(const void* address, size_t bytes, std::string_view what,
                            Access access) const {
  if (isOurs(address)) return checkLive(address, bytes, what);
  auto* first = static_cast<const std::byte*>(address);
  bool mapped = bytes == 0 || (isMapped(first, access) && isMapped(first + bytes - 1, access));
  if (!address || !mapped)
    throw Error(ErrorCode::InvalidArgument,
                at(what, address) + (!address                 ? " is null"
                                     : access == Access::Read ? " is not memory of this process"
                                                              : " is not memory to write to"),
                fmt::format("the address of {} bytes", bytes),
                "pass an address that was allocated and not freed");
}

void CpuMemory::copyToDevice(void* device, const void* host, size_t bytes) {
  checkLive(device, bytes, "destination");
  if (bytes) std::memmove(device, host, bytes);
}

void CpuMemory::copyToHost(void* host, const void* device, size_t bytes) {
  checkLive(device, bytes, "source");
  if (bytes) std::memmove(host, device, bytes);
}

void CpuMemory::copyOnDevice(void* to, const void* from, size_t bytes) {
  checkLive(to, bytes, "destination");
  checkLive(from, bytes, "source");
  if (bytes) std::memmove(to, from, bytes);
}

void CpuMemory::fill(void* device, uint32_t value, int width, size_t count) {
  if (width != 1 && width != 2 && width != 4)
    throw Error(ErrorCode::InvalidArgument, fmt::format("values of {} bytes", width),
                "1, 2 or 4 bytes");
  size_t bytes = 0;
  if (__builtin_mul_overflow(count, static_cast<size_t>(width), &bytes)) bytes = SIZE_MAX;
  checkLive(device, bytes, "destination");
  fillHost(device, value, width, count);
}

DeviceMemory::Usage CpuMemory::usage() const {
  MemoryLimits limits = memoryLimits();
  std::lock_guard lock(mutex_);
  return {limits.free, limits.total, book_.liveBytes()};
}

}  // namespace carnot
