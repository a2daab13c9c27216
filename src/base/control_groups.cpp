#include "base/control_groups.h"

#include <sstream>

#include "base/error.h"
#include "base/files.h"

namespace carnot {

std::string readIfThere(const std::string& path) {
  try {
    return readTextFile(path);
  } catch (const Error&) {
    return {};
  }
}

std::vector<ControlGroup> controlGroups(const std::string& mount, const std::string& membership,
                                        std::string_view controller,
                                        std::initializer_list<const char*> folders) {
  std::vector<ControlGroup> groups;
  auto addAll = [&](const std::string& root, std::string path, bool version2) {
    while (true) {
      groups.push_back({root + path, version2});
      const size_t slash = path.rfind('/');
      if (slash == std::string::npos) return;
      path.resize(slash);
    }
  };
  std::istringstream lines(membership);
  for (std::string line; std::getline(lines, line);) {
    // "0::/group" in version 2, "4:cpu,cpuacct:/group" in version 1.
    const size_t first = line.find(':'), second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    const std::string controllers = "," + line.substr(first + 1, second - first - 1) + ",";
    const std::string path = line.substr(second + 1);
    if (controllers == ",,") {
      addAll(mount, path, true);
    } else if (controllers.find("," + std::string(controller) + ",") != std::string::npos) {
      for (const char* folder : folders) addAll(mount + "/" + folder, path, false);
    }
  }
  return groups;
}

}  // namespace carnot
