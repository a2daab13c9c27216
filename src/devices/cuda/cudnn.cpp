#include "devices/cuda/cudnn.h"

#include <fmt/format.h>

#include <array>
#include <atomic>
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

constexpr size_t kShared = 32;  // handles that graphs name

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

void require(cudnnStatus_t status, const char* what) {
  if (status != CUDNN_STATUS_SUCCESS)
    throw Error(ErrorCode::Unsupported, fmt::format("{}: {}", what, cudnn().getErrorString(status)),
                "a cuDNN that fits the driver");
}

// A handle and a stream that is its alone and stays: what the handle stands on while idle. An
// application's stream may be gone by the time of the next use, or recorded by another thread, and
// so may what the default stream waits for.
struct Seat {
  cudnnHandle_t handle = nullptr;
  CUstream stream = nullptr;
};

Seat newSeat() {
  // This thread may be recording, which forbids what starting takes unless told otherwise; no other
  // thread may be.
  const auto alone = holdRecording();
  CUstreamCaptureMode mode = CU_STREAM_CAPTURE_MODE_RELAXED;
  check(driver().cuThreadExchangeStreamCaptureMode(&mode), "leaving a recording alone");
  struct Restore {
    CUstreamCaptureMode mode;
    ~Restore() { driver().cuThreadExchangeStreamCaptureMode(&mode); }
  } const restore{mode};
  Seat seat;
  check(driver().cuStreamCreate(&seat.stream, CU_STREAM_NON_BLOCKING), "making a stream");
  require(cudnn().create(&seat.handle), "cuDNN does not start");
  require(cudnn().setStream(seat.handle, seat.stream), "cuDNN does not take a stream");
  return seat;
}

}  // namespace

const Cudnn& cudnn() {
  static const Cudnn table = load();
  return table;
}

void withCudnn(const std::function<void(cudnnHandle_t)>& use, Stream* stream) {
  // Never destroyed: the driver may be gone when the process ends.
  static std::mutex mutex;
  static auto* idle = new std::vector<Seat>;
  startNvrtc();
  activateDevice();
  struct Taken {
    Seat seat;
    bool moved = false;
    Taken() {
      const std::lock_guard lock(mutex);
      if (idle->empty()) return;
      seat = idle->back();
      idle->pop_back();
    }
    ~Taken() {
      // One that cannot leave a stream is not used again.
      if (!seat.handle ||
          (moved && cudnn().setStream(seat.handle, seat.stream) != CUDNN_STATUS_SUCCESS))
        return;
      const std::lock_guard lock(mutex);
      idle->push_back(seat);
    }
  } taken;
  if (!taken.seat.handle) taken.seat = newSeat();
  if (stream) {
    taken.moved = true;
    require(cudnn().setStream(taken.seat.handle, static_cast<cudaStream_t>(stream->native())),
            "cuDNN does not take a stream");
  }
  use(taken.seat.handle);
}

CudnnHandle& CudnnHandle::next() {
  // Never destroyed, as above.
  static auto* all = new std::array<CudnnHandle, kShared>;
  static std::atomic<size_t> taken{0};
  return (*all)[taken++ % kShared];
}

void CudnnHandle::use(const std::function<void(cudnnHandle_t)>& use) {
  startNvrtc();
  activateDevice();
  {
    // A new seat waits for recordings, one of which may wait for this handle.
    std::unique_lock lock(mutex_);
    if (!handle_) {
      lock.unlock();
      const Seat seat = newSeat();
      lock.lock();
      if (!handle_) handle_ = seat.handle;
    }
  }
  const std::lock_guard lock(mutex_);
  use(handle_);
}

std::string cudnnVersion() {
  if (!library().loaded()) return "no cuDNN";
  const size_t version = cudnn().getVersion();
  return fmt::format("cuDNN {}.{}.{}", version / 10000, version % 10000 / 100, version % 100);
}

}  // namespace carnot::cuda
