#pragma once

#include <cstdint>

#include "devices/cuda/driver.h"
#include "devices/device.h"

namespace carnot::cuda {

// Issues a function of one structure.
void launch(CUfunction function, uint32_t blocks, uint32_t threads, void* structure,
            Stream& stream);

}  // namespace carnot::cuda
