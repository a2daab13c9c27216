#include "base/memory_limits.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <map>
#include <optional>
#include <sstream>

#include "base/control_groups.h"
#include "base/error.h"

namespace carnot {
namespace {

// Before buffers of this size, and after so much in smaller ones, the limits are read: some 50 us,
// which writing to as much memory takes many times.
constexpr size_t kLook = size_t{16} << 20;
constexpr size_t kMargin = kLook;  // for what is asked for until the next look

std::atomic<size_t> liveBytes = 0;  // of large buffers
std::atomic<size_t> sinceLook = 0;  // asked for in small ones

std::optional<size_t> numberIn(const std::string& path) {
  std::istringstream text(readIfThere(path));
  size_t value = 0;
  if (text >> value) return value;
  return std::nullopt;  // no such file, or "max"
}

// Lines "name value ..." or "name: value ...", times `unit`.
std::map<std::string, size_t> fields(const std::string& path, size_t unit) {
  std::map<std::string, size_t> values;
  std::istringstream lines(readIfThere(path));
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string name;
    size_t value = 0;
    if (!(words >> name >> value)) continue;
    if (name.ends_with(':')) name.pop_back();
    values[name] = value * unit;
  }
  return values;
}

size_t less(size_t from, size_t what) { return from - std::min(from, what); }

void applyGroup(const ControlGroup& group, MemoryLimits& limits) {
  auto file = [&](const char* version2, const char* version1) {
    return group.folder + (group.version2 ? version2 : version1);
  };
  const auto limit = numberIn(file("/memory.max", "/memory.limit_in_bytes"));
  const auto used = numberIn(file("/memory.current", "/memory.usage_in_bytes"));
  if (!limit || !used) return;
  auto stat = fields(group.folder + "/memory.stat", 1);
  const size_t files = group.version2 ? stat["inactive_file"] + stat["active_file"]
                                      : stat["total_inactive_file"] + stat["total_active_file"];
  limits.free = std::min(limits.free, less(*limit, less(*used, files)));
  if (*limit < limits.total) {
    limits.total = *limit;
    limits.holder = "its control group";
  }
  if (!group.version2) return;
  const auto mostSwap = numberIn(group.folder + "/memory.swap.max");
  const auto swapped = numberIn(group.folder + "/memory.swap.current");
  if (mostSwap && swapped) limits.swap = std::min(limits.swap, less(*mostSwap, *swapped));
}

// What /proc/self/statm counts in pages.
struct Pages {
  size_t size = 0, resident = 0, shared = 0, text = 0, unused = 0, data = 0;
};
Pages pagesOfProcess() {
  Pages pages;
  std::istringstream(readIfThere("/proc/self/statm")) >> pages.size >> pages.resident >>
      pages.shared >> pages.text >> pages.unused >> pages.data;
  const auto page = static_cast<size_t>(::sysconf(_SC_PAGESIZE));
  for (size_t* count : {&pages.size, &pages.resident, &pages.shared, &pages.data}) *count *= page;
  return pages;
}

void applyResource(int resource, size_t used, const char* holder, MemoryLimits& limits) {
  rlimit limit{};
  if (::getrlimit(static_cast<__rlimit_resource>(resource), &limit) != 0 ||
      limit.rlim_cur == RLIM_INFINITY)
    return;
  const size_t free = less(limit.rlim_cur, used);
  if (free < limits.free + limits.swap) {
    limits.free = std::min(limits.free, free);
    limits.swap = 0;
    limits.holder = holder;
    limits.total = std::min<size_t>(limits.total, limit.rlim_cur);
  }
}

}  // namespace

MemoryLimits memoryLimitsBelow(const std::string& root) {
  auto machine = fields(root + "/proc/meminfo", 1024);
  MemoryLimits limits{machine["MemAvailable"], machine["MemTotal"], machine["SwapFree"]};
  for (const ControlGroup& group : controlGroups(
           root + "/sys/fs/cgroup", readIfThere(root + "/proc/self/cgroup"), "memory", {"memory"}))
    applyGroup(group, limits);
  return limits;
}

MemoryLimits memoryLimits() {
  MemoryLimits limits = memoryLimitsBelow("");
  const Pages pages = pagesOfProcess();
  applyResource(RLIMIT_AS, pages.size, "its limit on addresses (ulimit -v)", limits);
  applyResource(RLIMIT_DATA, pages.data, "its limit on data (ulimit -d)", limits);
  return limits;
}

void requireMemory(size_t bytes) {
  if (bytes < kLook && sinceLook.fetch_add(bytes) + bytes < kLook) return;
  sinceLook = 0;
  const MemoryLimits limits = memoryLimits();
  if (limits.total == 0) return;  // nothing is known here
  const Pages pages = pagesOfProcess();
  const size_t untouched = less(liveBytes, less(pages.resident, pages.shared));
  const size_t free = less(limits.free + limits.swap, untouched);
  if (bytes <= free && free - bytes >= std::min(kMargin, limits.total / 16)) return;
  throw Error(
      ErrorCode::OutOfMemory,
      fmt::format("{} bytes of memory free, of {} by {}", free, limits.total, limits.holder),
      fmt::format("{} bytes", bytes),
      "free memory, raise the limit, or use a smaller model or shape");
}

void countMemory(size_t bytes) {
  if (bytes >= kLook) liveBytes += bytes;
}
void uncountMemory(size_t bytes) {
  if (bytes >= kLook) liveBytes -= bytes;
}

}  // namespace carnot
