#pragma once

#include "devices/device.h"

namespace carnot {

std::shared_ptr<Device> openCpu(const DeviceTraits& traits);
// Device::fill in the host's memory.
void fillHost(void* dst, uint32_t value, int width, size_t count);

}  // namespace carnot
