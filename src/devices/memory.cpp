#include <carnot/memory.h>
#include <carnot/streams.h>

#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "base/error.h"
#include "devices/cpu/heap.h"
#include "devices/default_kind.h"
#include "devices/plugin_memory.h"
#include "devices/streams.h"

namespace carnot {

namespace {

// They live as long as the process: objects of an interpreter may free memory while it ends.
struct Used {
  DeviceMemory* memory = nullptr;
  DeviceStreams* streams = nullptr;
};

const Used& usedDevice() {
  const std::string kind = chooseDevice(DeviceUse::Cuda).kind;
  static std::mutex mutex;
  static auto* all = new std::map<std::string, Used, std::less<>>;
  const std::lock_guard lock(mutex);
  Used& used = (*all)[kind];
  if (used.memory) return used;
  try {
    const std::shared_ptr<Device> device = openDevice(deviceTraits(kind, 1));
    auto memory = kind == "cpu" ? std::unique_ptr<DeviceMemory>(new CpuMemory)
                                : std::make_unique<PluginMemory>(device);
    used.streams = new StreamBook(device, *memory);
    used.memory = memory.release();
  } catch (const Error& error) {
    throw Error(error.code(), fmt::format("CARNOT_DEVICE is {}: {}", kind, error.has()),
                error.needs(), "set it to cpu, or unset it");
  }
  return used;
}

}  // namespace

DeviceMemory& deviceMemory() { return *usedDevice().memory; }
DeviceStreams& deviceStreams() { return *usedDevice().streams; }

}  // namespace carnot
