#include "base/cores.h"

#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <optional>
#include <sstream>

#include "base/control_groups.h"
#include "base/error.h"
#include "base/threads.h"

namespace carnot {

std::vector<int> allowedCores() {
  // The kernel refuses masks shorter than its own; machines of more than 1024 cores exist.
  for (int capacity = CPU_SETSIZE; capacity <= (1 << 20); capacity *= 2) {
    cpu_set_t* set = CPU_ALLOC(capacity);
    size_t bytes = CPU_ALLOC_SIZE(capacity);
    std::vector<int> cores;
    if (set && ::sched_getaffinity(0, bytes, set) == 0)
      for (int core = 0; core < capacity; ++core)
        if (CPU_ISSET_S(core, bytes, set)) cores.push_back(core);
    CPU_FREE(set);
    if (!cores.empty()) return cores;
  }
  return {0};
}

namespace {

std::optional<double> quotaIn(const std::string& folder, bool version2) {
  std::string quota, period;
  if (version2) {  // "max 100000" or "150000 100000"
    std::istringstream(readIfThere(folder + "/cpu.max")) >> quota >> period;
  } else {  // -1 for none
    std::istringstream(readIfThere(folder + "/cpu.cfs_quota_us")) >> quota;
    std::istringstream(readIfThere(folder + "/cpu.cfs_period_us")) >> period;
  }
  char* end = nullptr;
  double microseconds = std::strtod(quota.c_str(), &end);
  double each = std::strtod(period.c_str(), nullptr);
  if (end == quota.c_str() || microseconds <= 0 || each <= 0) return std::nullopt;
  return microseconds / each;
}

}  // namespace

int cgroupCores(const std::string& mount, const std::string& membership) {
  std::optional<double> least;
  for (const ControlGroup& group : controlGroups(mount, membership, "cpu", {"cpu", "cpu,cpuacct"}))
    if (auto quota = quotaIn(group.folder, group.version2))
      least = std::min(least.value_or(*quota), *quota);
  if (!least) return 0;
  // Rounded down: a thread more than the quota has the kernel stop them all for a while.
  return static_cast<int>(std::clamp(*least, 1.0, 1e6));
}

int availableCores() {
  auto cores = static_cast<int>(allowedCores().size());
  int quota = cgroupCores("/sys/fs/cgroup", readIfThere("/proc/self/cgroup"));
  return quota > 0 ? std::min(cores, quota) : cores;
}

int defaultThreads() {
  const char* text = std::getenv("CARNOT_THREADS");
  if (!text || !*text) return availableCores();
  std::string_view view = text;
  int threads = 0;
  auto [end, error] = std::from_chars(view.data(), view.data() + view.size(), threads);
  if (error != std::errc() || end != view.data() + view.size() || threads < 1)
    throw Error(ErrorCode::InvalidArgument, fmt::format("CARNOT_THREADS is \"{}\"", view),
                "a number of threads, 1 or more", "set it so, or unset it");
  return threads;
}

}  // namespace carnot
