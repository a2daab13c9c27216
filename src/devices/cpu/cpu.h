#pragma once

#include "devices/device.h"

namespace carnot {

std::shared_ptr<Device> openCpu(const DeviceTraits& traits);

}  // namespace carnot
