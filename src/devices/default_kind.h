#pragma once

#include <carnot/device.h>

#include <string>

namespace carnot {

// The kind of device where no argument asks for one.
struct DeviceChoice {
  std::string kind;
  std::string reason;  // why that one and no other
};

// CARNOT_DEVICE decides if set. Else programs written for CUDA get a GPU where one can be used (the
// plugin loads, with a driver and NVIDIA's libraries), all others the CPU.
DeviceChoice chooseDevice(DeviceUse use);

}  // namespace carnot
