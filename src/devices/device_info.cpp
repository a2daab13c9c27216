#include <carnot/device.h>
#include <fmt/format.h>

#include <cstdlib>

#include "base/threads.h"
#include "devices/default_kind.h"
#include "devices/device.h"

namespace carnot {

std::string defaultDeviceKind() {
  const char* chosen = std::getenv("CARNOT_DEVICE");
  return chosen && *chosen ? chosen : "cpu";
}

DeviceInfo deviceInfo() {
  const DeviceTraits traits = deviceTraits(defaultDeviceKind(), defaultThreads());
  DeviceInfo info;
  info.kind = traits.kind;
  info.model = traits.model;
  info.isa = traits.kind == "cpu"
                 ? isaNames(traits.isa)
                 : fmt::format("compute capability {}.{}", traits.computeCapability / 10,
                               traits.computeCapability % 10);
  info.threads = traits.threads;
  info.l1Bytes = traits.l1Bytes;
  info.l2Bytes = traits.l2Bytes;
  info.l3Bytes = traits.l3Bytes;
  return info;
}

}  // namespace carnot
