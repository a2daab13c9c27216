#pragma once

#include <mutex>

#include "devices/device.h"

namespace carnot::cuda {

// The first GPU that the driver sees (CUDA_VISIBLE_DEVICES chooses). Throws Error (Unsupported)
// where there is none, or no NVRTC.
const DeviceTraits& cudaTraits();
// Makes its primary context the calling thread's.
void activateDevice();
// Held by a thread while it records: waiting for the whole device, which CUDA forbids while any
// stream is recorded, waits for that.
std::unique_lock<std::recursive_mutex> holdRecording();
// Waits for all that the process has issued in that context.
void synchronizeDevice();
std::shared_ptr<Device> openCuda(const DeviceTraits& traits);

}  // namespace carnot::cuda
