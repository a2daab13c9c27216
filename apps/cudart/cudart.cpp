// What libcudart.so is to a program that loads it, over the memory of Carnot's device: allocation,
// copies, streams and events; no kernels. carnot.shim puts it where such programs look. Names,
// argument orders and numbers are those of CUDA's runtime interface.

#include <carnot/error.h>
#include <carnot/memory.h>
#include <carnot/streams.h>

#include <cstring>
#include <optional>
#include <string>

namespace {

using carnot::DeviceMemory;
using carnot::deviceMemory;
using carnot::DeviceStreams;
using carnot::deviceStreams;

enum Status : int {
  kSuccess = 0,
  kInvalidValue = 1,
  kOutOfMemory = 2,
  kNoDevice = 100,
  kInvalidDevice = 101,
  kInvalidHandle = 400,
  kNotReady = 600,
  kUnknown = 999,
};

constexpr int kVersion = 12080;

// The calling thread's last failure.
thread_local int lastStatus = kSuccess;
thread_local std::string lastText;

int failed(int status, const char* text) {
  lastStatus = status;
  lastText = text;
  return status;
}

template <typename Act>
int reporting(Act act) {
  try {
    act();
    return kSuccess;
  } catch (const carnot::Error& error) {
    switch (error.code()) {
      case carnot::ErrorCode::InvalidArgument:
        return failed(kInvalidValue, error.what());
      case carnot::ErrorCode::OutOfMemory:
        return failed(kOutOfMemory, error.what());
      case carnot::ErrorCode::Unsupported:
        return failed(kNoDevice, error.what());
      default:
        return failed(kUnknown, error.what());
    }
  } catch (const std::exception& error) {
    return failed(kUnknown, error.what());
  }
}

// As reporting, where a wrong handle is all that can be wrong.
template <typename Act>
int handling(Act act) {
  const int status = reporting(act);
  return status == kInvalidValue ? lastStatus = kInvalidHandle : status;
}

DeviceStreams::Handle handleOf(void* object) { return reinterpret_cast<uintptr_t>(object); }
void* pointer(DeviceStreams::Handle handle) {
  return reinterpret_cast<void*>(handle);  // NOLINT(performance-no-int-to-ptr)
}

int checkStream(void* stream) {
  return handling([&] { deviceStreams().checkStream(handleOf(stream)); });
}

void copyOnHost(void* to, const void* from, size_t bytes) {
  deviceMemory().checkUsable(from, bytes, "source", DeviceMemory::Access::Read);
  deviceMemory().checkUsable(to, bytes, "destination", DeviceMemory::Access::Write);
  std::memmove(to, from, bytes);
}

bool isDevice(const void* address) {
  return deviceMemory().find(address).kind != DeviceMemory::Place::Kind::Foreign;
}

// In a stream's order, or done when the call returns. `kind`: cudaMemcpyKind.
void copy(void* to, const void* from, size_t bytes, int kind,
          std::optional<DeviceStreams::Handle> stream) {
  if (!bytes) return;
  const int direction = kind == 4 ? 2 * isDevice(from) + isDevice(to) : kind;
  DeviceMemory& memory = deviceMemory();
  if (direction == 0) {
    if (stream) deviceStreams().synchronize(*stream);
    copyOnHost(to, from, bytes);
  } else if (direction == 1) {
    memory.checkUsable(from, bytes, "source", DeviceMemory::Access::Read);
    stream ? deviceStreams().copyToDevice(to, from, bytes, *stream)
           : memory.copyToDevice(to, from, bytes);
  } else if (direction == 2) {
    memory.checkUsable(to, bytes, "destination", DeviceMemory::Access::Write);
    stream ? deviceStreams().copyToHost(to, from, bytes, *stream)
           : memory.copyToHost(to, from, bytes);
  } else if (direction == 3) {
    stream ? deviceStreams().copyOnDevice(to, from, bytes, *stream)
           : memory.copyOnDevice(to, from, bytes);
  } else {
    throw carnot::Error(carnot::ErrorCode::InvalidArgument,
                        "a copy of kind " + std::to_string(kind), "0 to 4");
  }
}

}  // namespace

extern "C" {

int cudaMalloc(void** pointer, size_t bytes) {
  return reporting([&] { *pointer = bytes ? deviceMemory().allocate(bytes) : nullptr; });
}
int cudaFree(void* pointer) {
  return reporting([&] { deviceMemory().release(pointer); });
}
int cudaMallocAsync(void** pointer, size_t bytes, void* stream) {
  int status = checkStream(stream);
  return status ? status : cudaMalloc(pointer, bytes);
}
int cudaFreeAsync(void* pointer, void* stream) {
  int status = checkStream(stream);
  return status ? status : cudaFree(pointer);
}
int cudaMallocHost(void** pointer, size_t bytes) {
  return reporting([&] { *pointer = deviceMemory().allocateHost(bytes); });
}
int cudaHostAlloc(void** pointer, size_t bytes, unsigned) { return cudaMallocHost(pointer, bytes); }
int cudaFreeHost(void* pointer) {
  return reporting([&] { deviceMemory().releaseHost(pointer); });
}

int cudaMemcpy(void* to, const void* from, size_t bytes, int kind) {
  return reporting([&] { copy(to, from, bytes, kind, {}); });
}
int cudaMemcpyAsync(void* to, const void* from, size_t bytes, int kind, void* stream) {
  const int status = checkStream(stream);
  return status ? status : reporting([&] { copy(to, from, bytes, kind, handleOf(stream)); });
}
int cudaMemset(void* pointer, int value, size_t bytes) {
  return reporting([&] { deviceMemory().fill(pointer, static_cast<uint32_t>(value), 1, bytes); });
}
int cudaMemsetAsync(void* pointer, int value, size_t bytes, void* stream) {
  const int status = checkStream(stream);
  return status ? status : reporting([&] {
    deviceStreams().fill(pointer, static_cast<uint32_t>(value), 1, bytes, handleOf(stream));
  });
}
int cudaMemGetInfo(size_t* free, size_t* total) {
  return reporting([&] {
    DeviceMemory::Usage usage = deviceMemory().usage();
    *free = usage.free;
    *total = usage.total;
  });
}

int cudaStreamCreateWithFlags(void** stream, unsigned flags) {
  return reporting([&] { *stream = pointer(deviceStreams().createStream(!(flags & 1))); });
}
int cudaStreamCreate(void** stream) { return cudaStreamCreateWithFlags(stream, 0); }
int cudaStreamCreateWithPriority(void** stream, unsigned flags, int) {
  return cudaStreamCreateWithFlags(stream, flags);
}
int cudaStreamSynchronize(void* stream) {
  return handling([&] { deviceStreams().synchronize(handleOf(stream)); });
}
int cudaStreamQuery(void* stream) {
  bool idle = false;
  const int status = handling([&] { idle = deviceStreams().isIdle(handleOf(stream)); });
  return status || idle ? status : kNotReady;
}
int cudaStreamWaitEvent(void* stream, void* event, unsigned) {
  return handling([&] { deviceStreams().wait(handleOf(stream), handleOf(event)); });
}
int cudaStreamDestroy(void* stream) {
  return handling([&] { deviceStreams().destroyStream(handleOf(stream)); });
}

int cudaEventCreate(void** event) {
  return reporting([&] { *event = pointer(deviceStreams().createEvent()); });
}
int cudaEventCreateWithFlags(void** event, unsigned) { return cudaEventCreate(event); }
int cudaEventRecord(void* event, void* stream) {
  return handling([&] { deviceStreams().record(handleOf(event), handleOf(stream)); });
}
int cudaEventSynchronize(void* event) {
  return handling([&] { deviceStreams().synchronizeEvent(handleOf(event)); });
}
int cudaEventQuery(void* event) {
  bool reached = false;
  const int status = handling([&] { reached = deviceStreams().isReached(handleOf(event)); });
  return status || reached ? status : kNotReady;
}
int cudaEventElapsedTime(float* milliseconds, void* start, void* end) {
  for (void* event : {start, end})
    if (const int status = cudaEventQuery(event)) return status;
  return handling([&] {
    *milliseconds =
        static_cast<float>(deviceStreams().millisecondsBetween(handleOf(start), handleOf(end)));
  });
}
int cudaEventDestroy(void* event) {
  return handling([&] { deviceStreams().destroyEvent(handleOf(event)); });
}

int cudaDeviceSynchronize() {
  return reporting([] { deviceMemory().synchronize(); });
}
int cudaGetDeviceCount(int* count) {
  *count = 1;
  return kSuccess;
}
int cudaGetDevice(int* device) {
  *device = 0;
  return kSuccess;
}
int cudaSetDevice(int device) {
  return device == 0 ? kSuccess : failed(kInvalidDevice, "no such device; there is one, 0");
}
int cudaRuntimeGetVersion(int* version) {
  *version = kVersion;
  return kSuccess;
}
int cudaDriverGetVersion(int* version) { return cudaRuntimeGetVersion(version); }

const char* cudaGetErrorName(int status) {
  switch (status) {
    case kSuccess:
      return "cudaSuccess";
    case kInvalidValue:
      return "cudaErrorInvalidValue";
    case kOutOfMemory:
      return "cudaErrorMemoryAllocation";
    case kNoDevice:
      return "cudaErrorNoDevice";
    case kInvalidDevice:
      return "cudaErrorInvalidDevice";
    case kInvalidHandle:
      return "cudaErrorInvalidResourceHandle";
    case kNotReady:
      return "cudaErrorNotReady";
    default:
      return "cudaErrorUnknown";
  }
}
// The last failure's own text where its status is asked for.
const char* cudaGetErrorString(int status) {
  if (status == kSuccess) return "no error";
  return status == lastStatus ? lastText.c_str() : cudaGetErrorName(status);
}
int cudaPeekAtLastError() { return lastStatus; }
int cudaGetLastError() {
  int status = lastStatus;
  lastStatus = kSuccess;
  return status;
}

}  // extern "C"
