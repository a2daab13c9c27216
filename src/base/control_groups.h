#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

namespace carnot {

struct ControlGroup {
  std::string folder;
  bool version2;
};

// The control groups that a process is in by the text of its /proc/self/cgroup, innermost first,
// and those around them. `mount` is where they are mounted (/sys/fs/cgroup), `controller` what the
// caller asks them about, `folders` what version 1 may call its mount. In a container the text's
// path may be the host's, which is not there; its mount, the last one, is then the group itself.
std::vector<ControlGroup> controlGroups(const std::string& mount, const std::string& membership,
                                        std::string_view controller,
                                        std::initializer_list<const char*> folders);

// A small text file's contents; empty when it cannot be read.
std::string readIfThere(const std::string& path);

}  // namespace carnot
