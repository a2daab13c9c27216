#include "devices/plugin.h"

#include <build_id.h>

#include "devices/cuda/cuda_device.h"

extern "C" const carnot::DevicePlugin& carnotDevicePlugin() {
  static const carnot::DevicePlugin plugin{CARNOT_BUILD_ID,
                                           [] { return carnot::cuda::cudaTraits(); },
                                           carnot::cuda::openCuda, carnot::cuda::synchronizeDevice};
  return plugin;
}
