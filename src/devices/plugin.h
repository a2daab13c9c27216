#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "devices/device.h"

namespace carnot {

// A library of one device kind, libcarnot_<kind>.so beside this one (or in $CARNOT_PLUGINS), loaded
// on first use and kept. It defines carnotDevicePlugin and, for kernels/, carnotKernels.
struct DevicePlugin {
  const char* buildId = "";  // must be this library's: nothing between the two is stable
  // Throws Error (Unsupported) when the machine has no such device, or lacks a library.
  DeviceTraits (*traits)() = nullptr;
  std::shared_ptr<Device> (*open)(const DeviceTraits& traits) = nullptr;
  // Waits for all that the process has issued to the device.
  void (*synchronize)() = nullptr;
};
using DevicePluginFunction = const DevicePlugin& (*)();
inline constexpr const char* kDevicePluginSymbol = "carnotDevicePlugin";

// Changes with every header of the project, its version and the compiler.
const char* buildId();

// Throws Error (Unsupported) saying why it did not load; always the same for a kind.
const DevicePlugin& devicePlugin(std::string_view kind);
// A function of a kind's plugin; null when it has none of that name. Throws as devicePlugin.
void* pluginSymbol(std::string_view kind, const char* name);

}  // namespace carnot
