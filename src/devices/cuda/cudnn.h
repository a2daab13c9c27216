#pragma once

#include <cudnn_graph.h>

#include <functional>
#include <string>

namespace carnot::cuda {

// cuDNN's graph API, opened at run time: libcudnn.so.9.
struct Cudnn {
  decltype(&::cudnnCreate) create = nullptr;
  decltype(&::cudnnSetStream) setStream = nullptr;
  decltype(&::cudnnGetVersion) getVersion = nullptr;
  decltype(&::cudnnGetErrorString) getErrorString = nullptr;
  decltype(&::cudnnGetLastErrorString) getLastErrorString = nullptr;
  decltype(&::cudnnBackendCreateDescriptor) createDescriptor = nullptr;
  decltype(&::cudnnBackendDestroyDescriptor) destroyDescriptor = nullptr;
  decltype(&::cudnnBackendFinalize) finalize = nullptr;
  decltype(&::cudnnBackendSetAttribute) setAttribute = nullptr;
  decltype(&::cudnnBackendGetAttribute) getAttribute = nullptr;
  decltype(&::cudnnBackendExecute) execute = nullptr;
};

// Throws Error (Unsupported) where there is none.
const Cudnn& cudnn();
// A handle that has run keeps the stream that it ran on, which may be gone by the time that it
// would prepare a plan: those that prepare never run.
enum class CudnnUse : uint8_t { Prepare, Run };
// Calls `use` with a handle that no other thread uses meanwhile, the device active.
void withCudnn(CudnnUse what, const std::function<void(cudnnHandle_t)>& use);
std::string cudnnVersion();  // "cuDNN 9.19.0", or "no cuDNN"

}  // namespace carnot::cuda
