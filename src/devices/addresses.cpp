#include "devices/addresses.h"

#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>

#include "base/error.h"

namespace carnot {
namespace {

using Kind = DeviceMemory::Place::Kind;

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

void requireLive(const DeviceMemory::Place& place, const void* address, size_t bytes,
                 std::string_view what) {
  std::string needs = fmt::format("{} bytes of live device memory", bytes);
  if (place.kind == Kind::Foreign)
    throw Error(ErrorCode::InvalidArgument, at(what, address) + " is not device memory", needs,
                "allocate it on the device first");
  if (place.kind == Kind::Freed)
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

void requireStart(const DeviceMemory::Place& place, const void* base) {
  if (place.kind == Kind::Live && place.base == base) return;
  std::string has =
      place.kind == Kind::Live
          ? fmt::format("{} lies inside an allocation that starts at {}", base, place.base)
      : place.kind == Kind::Freed ? fmt::format("{} is freed device memory", base)
                                  : fmt::format("{} is not device memory", base);
  throw Error(ErrorCode::InvalidArgument, has, "the start of a live allocation",
              "free each allocation once, by the address that it was given");
}

void requireMapped(const void* address, size_t bytes, std::string_view what,
                   DeviceMemory::Access access) {
  auto* first = static_cast<const std::byte*>(address);
  bool mapped = bytes == 0 || (isMapped(first, access) && isMapped(first + bytes - 1, access));
  if (address && mapped) return;
  throw Error(
      ErrorCode::InvalidArgument,
      at(what, address) + (!address                               ? " is null"
                           : access == DeviceMemory::Access::Read ? " is not memory of this process"
                                                                  : " is not memory to write to"),
      fmt::format("the address of {} bytes", bytes),
      "pass an address that was allocated and not freed");
}

size_t bytesFilled(int width, size_t count) {
  if (width != 1 && width != 2 && width != 4)
    throw Error(ErrorCode::InvalidArgument, fmt::format("values of {} bytes", width),
                "1, 2 or 4 bytes");
  size_t bytes = 0;
  return __builtin_mul_overflow(count, static_cast<size_t>(width), &bytes) ? SIZE_MAX : bytes;
}

}  // namespace carnot
