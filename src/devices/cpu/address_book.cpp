#include <algorithm>

#include "devices/cpu/heap.h"

namespace carnot {
namespace {

// Of ranges that were freed: enough to name the mistake, few enough to keep.
constexpr size_t kRemembered = 1 << 16;

uintptr_t roundUp(uintptr_t value, size_t alignment) {
  return (value + alignment - 1) / alignment * alignment;
}

}  // namespace

uintptr_t AddressBook::gapFrom(uintptr_t start, size_t bytes, size_t alignment) const {
  auto next = live_.upper_bound(start);
  if (next != live_.begin()) {
    auto previous = std::prev(next);
    start = std::max(start, previous->first + previous->second.bytes);
  }
  for (;; ++next) {
    start = roundUp(start, alignment);
    uintptr_t limit = next == live_.end() ? last_ : next->first;
    if (start <= limit && bytes <= limit - start) return start;
    if (next == live_.end()) return 0;
    start = next->first + next->second.bytes;
  }
}

uintptr_t AddressBook::take(size_t bytes, size_t alignment, size_t asked) {
  uintptr_t base = gapFrom(cursor_, bytes, alignment);
  if (!base) base = gapFrom(first_, bytes, alignment);
  if (!base) return 0;
  forget(base, base + bytes);
  live_[base] = {bytes, asked};
  liveBytes_ += bytes;
  cursor_ = base + bytes;
  return base;
}

void AddressBook::forget(uintptr_t first, uintptr_t last) {
  auto range = freed_.lower_bound(first);
  if (range != freed_.begin()) {
    auto previous = std::prev(range);
    if (previous->first + previous->second.bytes > first) range = previous;
  }
  while (range != freed_.end() && range->first < last) range = freed_.erase(range);
}

size_t AddressBook::giveBack(uintptr_t base) {
  auto range = live_.find(base);
  if (range == live_.end()) return 0;
  size_t bytes = range->second.bytes;
  freed_[base] = range->second;
  live_.erase(range);
  liveBytes_ -= bytes;
  freedOrder_.push_back(base);
  if (freedOrder_.size() > kRemembered) {
    freed_.erase(freedOrder_.front());
    freedOrder_.pop_front();
  }
  return bytes;
}

AddressBook::Ranges::const_iterator AddressBook::containing(const Ranges& ranges,
                                                            uintptr_t address) {
  auto range = ranges.upper_bound(address);
  if (range == ranges.begin()) return ranges.end();
  --range;
  return address < range->first + range->second.bytes ? range : ranges.end();
}

DeviceMemory::Place AddressBook::find(uintptr_t address) const {
  using Kind = DeviceMemory::Place::Kind;
  if (address < begin_ || address >= end_) return {};
  auto place = [](Kind kind, Ranges::const_iterator range) {
    void* base = reinterpret_cast<void*>(range->first);  // NOLINT(performance-no-int-to-ptr)
    return DeviceMemory::Place{kind, base, range->second.asked};
  };
  if (auto range = containing(live_, address); range != live_.end())
    return place(Kind::Live, range);
  if (auto range = containing(freed_, address); range != freed_.end())
    return place(Kind::Freed, range);
  return {Kind::Freed, nullptr, 0};
}

}  // namespace carnot
