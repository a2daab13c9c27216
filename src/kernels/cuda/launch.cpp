#include "kernels/cuda/launch.h"

#include "devices/cuda/cuda_device.h"

namespace carnot::cuda {

void launch(CUfunction function, const LaunchShape& shape, void* structure, Stream& stream) {
  CUlaunchAttribute attributes[2];
  CUlaunchConfig config{};
  config.gridDimX = shape.blocks;
  config.gridDimY = config.gridDimZ = 1;
  config.blockDimX = shape.threads;
  config.blockDimY = config.blockDimZ = 1;
  config.sharedMemBytes = shape.sharedBytes;
  config.hStream = static_cast<CUstream>(stream.native());
  config.attrs = attributes;
  if (shape.overlapped && cudaTraits().computeCapability >= 90) {
    CUlaunchAttribute& attribute = attributes[config.numAttrs++];
    attribute.id = CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION;
    attribute.value.programmaticStreamSerializationAllowed = 1;
  }
  if (shape.cluster > 1) {
    CUlaunchAttribute& attribute = attributes[config.numAttrs++];
    attribute.id = CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION;
    attribute.value.clusterDim.x = shape.cluster;
    attribute.value.clusterDim.y = attribute.value.clusterDim.z = 1;
  }
  void* parameters[] = {structure};
  check(driver().cuLaunchKernelEx(&config, function, parameters, nullptr), "starting a kernel");
}

void allowShared(CUfunction function, int bytes) {
  check(
      driver().cuFuncSetAttribute(function, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, bytes),
      "asking for shared memory");
}

}  // namespace carnot::cuda
