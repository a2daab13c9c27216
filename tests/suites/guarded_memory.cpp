#include "guarded_memory.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <new>

namespace carnot::test {

constexpr std::byte kCanary{0xC5};

GuardedMemory::GuardedMemory(size_t bytes, size_t alignment, Touching touching) : bytes_(bytes) {
  size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  size_t room = (bytes + alignment + page - 1) / page * page;
  mapped_ = page + room + page;
  void* mapping = mmap(nullptr, mapped_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapping == MAP_FAILED) throw std::bad_alloc();
  mapping_ = static_cast<std::byte*>(mapping);
  room_ = mapping_ + page;
  roomEnd_ = room_ + room;
  mprotect(room_, room, PROT_READ | PROT_WRITE);
  std::fill(room_, roomEnd_, kCanary);
  data_ = touching == Touching::First ? room_ : room_ + (room - bytes) / alignment * alignment;
}

GuardedMemory::~GuardedMemory() { munmap(mapping_, mapped_); }

void GuardedMemory::fill(unsigned char byte) {
  if (bytes_) std::memset(data_, byte, bytes_);
}

void GuardedMemory::forbidWrites() {
  mprotect(room_, static_cast<size_t>(roomEnd_ - room_), PROT_READ);
}

bool GuardedMemory::intact() const {
  auto isCanary = [](std::byte byte) { return byte == kCanary; };
  return std::all_of(room_, data_, isCanary) && std::all_of(data_ + bytes_, roomEnd_, isCanary);
}

}  // namespace carnot::test
