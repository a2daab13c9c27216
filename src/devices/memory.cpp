#include <carnot/memory.h>

#include <cstdlib>
#include <string>

#include "base/error.h"
#include "devices/cpu/heap.h"

namespace carnot {

DeviceMemory& deviceMemory() {
  const char* chosen = std::getenv("CARNOT_DEVICE");
  if (chosen && *chosen && std::string_view(chosen) != "cpu")
    throw Error(ErrorCode::Unsupported, fmt::format("CARNOT_DEVICE is {}", chosen),
                "one of the devices of this library: cpu", "set it to cpu, or unset it");
  // Lives as long as the process: objects of an interpreter may free memory while it ends.
  static auto* memory = new CpuMemory;
  return *memory;
}

}  // namespace carnot
