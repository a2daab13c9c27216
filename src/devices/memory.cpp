#include <carnot/memory.h>

#include <map>
#include <mutex>
#include <string>

#include "base/error.h"
#include "devices/cpu/heap.h"
#include "devices/default_kind.h"
#include "devices/plugin_memory.h"

namespace carnot {

DeviceMemory& deviceMemory() {
  const std::string kind = defaultDeviceKind();
  static std::mutex mutex;
  // They live as long as the process: objects of an interpreter may free memory while it ends.
  static auto* all = new std::map<std::string, DeviceMemory*, std::less<>>;
  const std::lock_guard lock(mutex);
  DeviceMemory*& memory = (*all)[kind];
  try {
    if (!memory && kind == "cpu") memory = new CpuMemory;
    if (!memory) memory = new PluginMemory(openDevice(deviceTraits(kind, 1)));
  } catch (const Error& error) {
    throw Error(error.code(), fmt::format("CARNOT_DEVICE is {}: {}", kind, error.has()),
                error.needs(), "set it to cpu, or unset it");
  }
  return *memory;
}

}  // namespace carnot
