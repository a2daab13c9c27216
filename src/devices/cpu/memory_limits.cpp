#include "devices/cpu/memory_limits.h"

#include <algorithm>
#include <cstdint>
#include <fstream>
#include <optional>
#include <string>

namespace carnot {
namespace {

// The value of a line "MemTotal:  24000000 kB".
size_t meminfo(const std::string& wanted) {
  std::ifstream file("/proc/meminfo");
  std::string name, unit;
  for (size_t kilobytes = 0; file >> name >> kilobytes; std::getline(file, unit))
    if (name == wanted) return kilobytes << 10;
  return 0;
}

std::optional<size_t> numberIn(const char* path) {
  std::ifstream file(path);
  size_t value = 0;
  if (file >> value) return value;
  return std::nullopt;  // no such file, or "max"
}

struct Group {
  const char *limit, *used;
};
// Control groups of version 2, then 1, as a container sees its own.
constexpr Group kGroups[] = {
    {"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"},
    {"/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes"}};

}  // namespace

MemoryLimits memoryLimits() {
  MemoryLimits limits{meminfo("MemAvailable:"), meminfo("MemTotal:")};
  for (const Group& group : kGroups) {
    std::optional<size_t> limit = numberIn(group.limit), used = numberIn(group.used);
    if (!limit || !used || *limit >= limits.total) continue;
    limits.total = *limit;
    limits.free = std::min(limits.free, *limit - std::min(*limit, *used));
  }
  return limits;
}

}  // namespace carnot
