#include "runtime/staging.h"

namespace carnot {

void* Staging::place(Slot& slot, void* data, size_t bytes) {
  slot.host = nullptr;
  if (bytes == 0 || device_.reaches(data)) return data;
  slot.host = data;
  slot.bytes = bytes;
  if (!slot.memory || slot.memory->bytes() < bytes) {
    slot.memory = nullptr;
    slot.memory = device_.allocate(bytes);
  }
  return slot.memory->data();
}

void Staging::copyIn(Stream& stream) {
  for (const Slot& slot : inputs_)
    if (slot.host) device_.copyToDevice(slot.memory->data(), slot.host, slot.bytes, stream);
}

void Staging::copyOut(Stream& stream) {
  for (const Slot& slot : inputs_)
    if (slot.host && slot.written)
      device_.copyFromDevice(slot.host, slot.memory->data(), slot.bytes, stream);
  for (const Slot& slot : outputs_)
    if (slot.host) device_.copyFromDevice(slot.host, slot.memory->data(), slot.bytes, stream);
}

}  // namespace carnot
