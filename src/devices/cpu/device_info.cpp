#include <carnot/device.h>
#include <unistd.h>

#include "base/threads.h"
#include "devices/device.h"

namespace carnot {

DeviceInfo deviceInfo() {
  DeviceTraits traits = hostTraits(defaultThreads());
  DeviceInfo info;
  info.kind = traits.kind;
  info.model = traits.model;
  info.isa = isaNames(traits.isa);
  info.threads = traits.threads;
  info.l1Bytes = traits.l1Bytes;
  info.l2Bytes = traits.l2Bytes;
  info.l3Bytes = traits.l3Bytes;
  long pages = sysconf(_SC_PHYS_PAGES), bytes = sysconf(_SC_PAGESIZE);
  if (pages > 0 && bytes > 0)
    info.memoryBytes = static_cast<size_t>(pages) * static_cast<size_t>(bytes);
  return info;
}

}  // namespace carnot
