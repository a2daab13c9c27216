#pragma once

#include <cudnn_graph.h>

#include <functional>
#include <mutex>
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

// A handle for descriptors that name one, as a graph's do: cuDNN uses the handle that they name
// whenever they are used, so all of it goes through the same handle, a thread at a time.
class CudnnHandle {
 public:
  // One of a few, taken in turns.
  static CudnnHandle& next();
  void use(const std::function<void(cudnnHandle_t)>& use);

 private:
  std::mutex mutex_;
  cudnnHandle_t handle_ = nullptr;
};

std::string cudnnVersion();  // "cuDNN 9.19.0", or "no cuDNN"

}  // namespace carnot::cuda
