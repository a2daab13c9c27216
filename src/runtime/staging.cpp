#include "runtime/staging.h"

#include <algorithm>
#include <cstring>

namespace carnot {
namespace {

constexpr size_t kMostLocked = size_t{256} << 20;  // locked for one tensor; larger ones go without
constexpr size_t kPiece = size_t{1} << 20;  // so that one is copied while the next is made ready

}  // namespace

void* Staging::place(Slot& slot, void* data, size_t bytes) {
  slot.host = nullptr;
  if (bytes == 0 || device_.reaches(data)) return data;
  slot.host = data;
  slot.bytes = bytes;
  if (!slot.memory || slot.memory->bytes() < bytes) {
    slot.memory = slot.locked = nullptr;
    slot.memory = device_.allocate(bytes);
    if (bytes <= kMostLocked) slot.locked = device_.allocateHost(bytes);
  }
  return slot.memory->data();
}

bool Staging::usesHost() const {
  auto isHost = [](const Slot& slot) { return slot.host != nullptr; };
  return std::ranges::any_of(inputs_, isHost) || std::ranges::any_of(outputs_, isHost);
}

void Staging::mark(size_t point, Stream& stream) const {
  if (!events_.empty()) events_[point]->record(stream);
}

void Staging::copyIn(Stream& stream) {
  mark(0, stream);
  for (const Slot& slot : inputs_) {
    if (!slot.host) continue;
    auto* to = static_cast<std::byte*>(slot.memory->data());
    const auto* from = static_cast<const std::byte*>(slot.host);
    if (!slot.locked) {
      device_.copyToDevice(to, from, slot.bytes, stream);
      continue;
    }
    auto* through = static_cast<std::byte*>(slot.locked->data());
    for (size_t at = 0; at < slot.bytes; at += kPiece) {
      const size_t piece = std::min(kPiece, slot.bytes - at);
      std::memcpy(through + at, from + at, piece);
      device_.copyToDevice(to + at, through + at, piece, stream);
    }
  }
  mark(1, stream);
}

template <typename Act>
void Staging::eachOut(Act act) {
  for (const Slot& slot : outputs_)
    if (slot.host) act(slot);
  for (const Slot& slot : inputs_)
    if (slot.host && slot.written) act(slot);
}

void Staging::copyOut(Stream& stream) {
  mark(2, stream);
  eachOut([&](const Slot& slot) {
    device_.copyFromDevice(slot.locked ? slot.locked->data() : slot.host, slot.memory->data(),
                           slot.bytes, stream);
  });
  mark(3, stream);
}

void Staging::finish() {
  eachOut([](const Slot& slot) {
    if (slot.locked) std::memcpy(slot.host, slot.locked->data(), slot.bytes);
  });
}

void Staging::setTimed(bool timed) {
  events_.clear();
  for (int i = 0; timed && i < 4; ++i) events_.push_back(device_.createEvent());
}

Staging::Times Staging::times() const {
  auto between = [&](size_t first, size_t last) {
    return events_[last]->millisecondsSince(*events_[first]);
  };
  return {between(0, 1), between(1, 2), between(2, 3)};
}

}  // namespace carnot
