#include "devices/cuda/cudnn.h"

#include <fmt/format.h>

#include <array>
#include <mutex>
#include <vector>

#include "base/error.h"
#include "devices/cuda/cublaslt.h"
#include "devices/cuda/cuda_device.h"
#include "devices/cuda/driver.h"
#include "devices/cuda/library.h"
#include "devices/cuda/nvrtc.h"

namespace carnot::cuda {
namespace {

const Library& library() {
  // cuDNN opens these two by their names alone, which works for what the process holds already.
  static const std::string before = nvrtcVersion() + cublasLtVersion();
  static constexpr const char* kNames[] = {"libcudnn.so.9"};
  static const Library library("cuDNN", kNames);
  return library;
}

Cudnn load() {
  library().require();
  Cudnn table;
  auto find = [](const char* name, auto& function) { resolve(library(), name, function); };
  find("cudnnCreate", table.create);
  find("cudnnSetStream", table.setStream);
  find("cudnnGetVersion", table.getVersion);
  find("cudnnGetErrorString", table.getErrorString);
  find("cudnnGetLastErrorString", table.getLastErrorString);
  find("cudnnBackendCreateDescriptor", table.createDescriptor);
  find("cudnnBackendDestroyDescriptor", table.destroyDescriptor);
  find("cudnnBackendFinalize", table.finalize);
  find("cudnnBackendSetAttribute", table.setAttribute);
  find("cudnnBackendGetAttribute", table.getAttribute);
  find("cudnnBackendExecute", table.execute);
  return table;
}

}  // namespace

const Cudnn& cudnn() {
  static const Cudnn table = load();
  return table;
}

void withCudnn(CudnnUse what, const std::function<void(cudnnHandle_t)>& use) {
  // Never destroyed: the driver may be gone when the process ends.
  static std::mutex mutex;
  static auto* lists = new std::array<std::vector<cudnnHandle_t>, 2>;
  std::vector<cudnnHandle_t>* const idle = &(*lists)[static_cast<size_t>(what)];
  const Cudnn& table = cudnn();
  if (what == CudnnUse::Prepare) startNvrtc();
  activateDevice();
  cudnnHandle_t handle = nullptr;
  {
    const std::lock_guard lock(mutex);
    if (!idle->empty()) {
      handle = idle->back();
      idle->pop_back();
    }
  }
  if (!handle) {
    // This thread may be recording, which forbids what starting takes unless told otherwise.
    CUstreamCaptureMode mode = CU_STREAM_CAPTURE_MODE_RELAXED;
    check(driver().cuThreadExchangeStreamCaptureMode(&mode), "leaving a recording alone");
    const cudnnStatus_t status = table.create(&handle);
    driver().cuThreadExchangeStreamCaptureMode(&mode);
    if (status != CUDNN_STATUS_SUCCESS)
      throw Error(ErrorCode::Unsupported,
                  fmt::format("cuDNN does not start: {}", table.getErrorString(status)),
                  "a cuDNN that fits the driver");
  }
  struct Return {
    std::vector<cudnnHandle_t>* idle;
    cudnnHandle_t handle;
    ~Return() {
      const std::lock_guard lock(mutex);
      idle->push_back(handle);
    }
  } const giveBack{idle, handle};
  use(handle);
}

std::string cudnnVersion() {
  if (!library().loaded()) return "no cuDNN";
  const size_t version = cudnn().getVersion();
  return fmt::format("cuDNN {}.{}.{}", version / 10000, version % 10000 / 100, version % 100);
}

}  // namespace carnot::cuda
