#include <carnot/device.h>
#include <fmt/format.h>

#include <cstdlib>

#include "base/error.h"
#include "base/threads.h"
#include "devices/default_kind.h"
#include "devices/device.h"

namespace carnot {

namespace {

// Of this machine, once: nothing of it changes.
const DeviceChoice& forCuda() {
  static const DeviceChoice choice = [] {
    try {
      deviceTraits("cuda", 1);
      return DeviceChoice{"cuda", "a GPU is there"};
    } catch (const Error& error) {
      return DeviceChoice{"cpu", fmt::format("no GPU can be used: {}", error.has())};
    }
  }();
  return choice;
}

}  // namespace

DeviceChoice chooseDevice(DeviceUse use) {
  const char* chosen = std::getenv("CARNOT_DEVICE");
  if (chosen && *chosen) return {chosen, "CARNOT_DEVICE says so"};
  if (use == DeviceUse::Carnot) return {"cpu", "the default; --device or CARNOT_DEVICE asks for a GPU"};
  return forCuda();
}

DeviceInfo deviceInfo(DeviceUse use) {
  const DeviceChoice choice = chooseDevice(use);
  const DeviceTraits traits = deviceTraits(choice.kind, defaultThreads());
  DeviceInfo info;
  info.reason = choice.reason;
  info.kind = traits.kind;
  info.model = traits.model;
  info.isa = traits.kind == "cpu"
                 ? isaNames(traits.isa)
                 : fmt::format("compute capability {}.{}", traits.computeCapability / 10,
                               traits.computeCapability % 10);
  info.computeCapability = traits.computeCapability;
  info.multiprocessors = traits.multiprocessors;
  info.threads = traits.threads;
  info.l1Bytes = traits.l1Bytes;
  info.l2Bytes = traits.l2Bytes;
  info.l3Bytes = traits.l3Bytes;
  return info;
}

}  // namespace carnot
