#include "guarded_memory.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <new>

namespace carnot::test {

constexpr std::byte kCanary{0xC5};

GuardedMemory::GuardedMemory(size_t bytes, size_t alignment) : bytes_(bytes) {
  size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  size_t room = (bytes + alignment + page - 1) / page * page;
  mapped_ = room + page;
  void* mapping =
      mmap(nullptr, mapped_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapping == MAP_FAILED) throw std::bad_alloc();
  mapping_ = static_cast<std::byte*>(mapping);
  mprotect(mapping_ + room, page, PROT_NONE);
  std::fill(mapping_, mapping_ + room, kCanary);
  data_ = mapping_ + (room - bytes) / alignment * alignment;
}

GuardedMemory::~GuardedMemory() { munmap(mapping_, mapped_); }

void GuardedMemory::fill(unsigned char byte) {
  if (bytes_) std::memset(data_, byte, bytes_);
}

bool GuardedMemory::intact() const {
  size_t room = mapped_ - static_cast<size_t>(sysconf(_SC_PAGESIZE));
  auto isCanary = [](std::byte byte) { return byte == kCanary; };
  return std::all_of(mapping_, data_, isCanary) &&
         std::all_of(data_ + bytes_, mapping_ + room, isCanary);
}

}  // namespace carnot::test
