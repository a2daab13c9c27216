#pragma once

#include <cudnn_graph.h>

#include <functional>
#include <string>

namespace carnot {
class Stream;
}

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
// Calls `use` with a handle that no other thread uses meanwhile, the device active. Its work goes
// to `stream`, or without one to a stream of the handle's own.
void withCudnn(const std::function<void(cudnnHandle_t)>& use, Stream* stream = nullptr);
std::string cudnnVersion();  // "cuDNN 9.19.0", or "no cuDNN"

}  // namespace carnot::cuda
