#pragma once

#include <string>
#include <vector>

namespace carnot {

// The cores in the calling thread's affinity mask, ascending.
std::vector<int> allowedCores();

// Whole cores that the cgroup's CPU quota buys, at least 1; 0 without a quota. `mount` is where
// cgroups are mounted (/sys/fs/cgroup), `membership` the text of /proc/self/cgroup; versions 1
// and 2.
int cgroupCores(const std::string& mount, const std::string& membership);

}  // namespace carnot
