#include "cli/exec/memory_report.h"

#include <carnot/memory.h>
#include <fmt/format.h>

#include <fstream>
#include <string>

#include "cli/console.h"

namespace carnot::cli::exec {

namespace {

// Bytes of a line "VmRSS:  24000 kB".
double statusBytes(const std::string& wanted) {
  std::ifstream file("/proc/self/status");
  std::string name, rest;
  while (file >> name) {
    double kilobytes = 0;
    if (name == wanted && file >> kilobytes) return kilobytes * 1024;
    std::getline(file, rest);
  }
  return 0;
}

}  // namespace

void reportMemory(std::string_view stage, const Output& output) {
  DeviceMemory::Usage usage = deviceMemory().usage();
  output.info(fmt::format("Memory after {}: process {} (peak {}), device {} of its own and {} free",
                          stage, sizeText(statusBytes("VmRSS:")), sizeText(statusBytes("VmHWM:")),
                          sizeText(static_cast<double>(usage.allocated)),
                          sizeText(static_cast<double>(usage.free))));
}

}  // namespace carnot::cli::exec
