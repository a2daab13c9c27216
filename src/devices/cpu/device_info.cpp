#include <carnot/device.h>

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
  return info;
}

}  // namespace carnot
