// What libcudart.so is to a program that loads it, over the memory of Carnot's device: allocation,
// copies, streams and events; no kernels. carnot.shim puts it where such programs look. Names,
// argument orders and numbers are those of CUDA's runtime interface.

#include <carnot/error.h>
#include <carnot/memory.h>

#include <chrono>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <set>
#include <string>

namespace {

using carnot::DeviceMemory;
using carnot::deviceMemory;
using Clock = std::chrono::steady_clock;

enum Status : int {
  kSuccess = 0,
  kInvalidValue = 1,
  kOutOfMemory = 2,
  kNoDevice = 100,
  kInvalidDevice = 101,
  kInvalidHandle = 400,
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

// Streams and events by their handles, so that a wrong one is refused.
struct Handles {
  std::mutex mutex;
  std::set<void*> streams;
  std::map<void*, Clock::time_point> events;
};

Handles& handles() {
  static auto* all = new Handles;
  return *all;
}

bool isDefaultStream(void* stream) { return reinterpret_cast<uintptr_t>(stream) <= 2; }

int checkStream(void* stream) {
  std::lock_guard lock(handles().mutex);
  if (isDefaultStream(stream) || handles().streams.contains(stream)) return kSuccess;
  return failed(kInvalidHandle, "no such stream");
}

template <typename Act>
int withEvent(void* event, Act act) {
  std::lock_guard lock(handles().mutex);
  auto found = handles().events.find(event);
  if (found == handles().events.end()) return failed(kInvalidHandle, "no such event");
  return act(found->second);
}

void copyOnHost(void* to, const void* from, size_t bytes) {
  deviceMemory().checkUsable(from, bytes, "source", DeviceMemory::Access::Read);
  deviceMemory().checkUsable(to, bytes, "destination", DeviceMemory::Access::Write);
  std::memmove(to, from, bytes);
}

bool isDevice(const void* address) {
  return deviceMemory().find(address).kind != DeviceMemory::Place::Kind::Foreign;
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
  return reporting([&] {
    if (!bytes) return;
    int direction = kind == 4 ? 2 * isDevice(from) + isDevice(to) : kind;
    DeviceMemory& memory = deviceMemory();
    if (direction == 0) {
      copyOnHost(to, from, bytes);
    } else if (direction == 1) {
      memory.checkUsable(from, bytes, "source", DeviceMemory::Access::Read);
      memory.copyToDevice(to, from, bytes);
    } else if (direction == 2) {
      memory.checkUsable(to, bytes, "destination", DeviceMemory::Access::Write);
      memory.copyToHost(to, from, bytes);
    } else if (direction == 3) {
      memory.copyOnDevice(to, from, bytes);
    } else {
      throw carnot::Error(carnot::ErrorCode::InvalidArgument,
                          "a copy of kind " + std::to_string(kind), "0 to 4");
    }
  });
}
int cudaMemcpyAsync(void* to, const void* from, size_t bytes, int kind, void* stream) {
  int status = checkStream(stream);
  return status ? status : cudaMemcpy(to, from, bytes, kind);
}
int cudaMemset(void* pointer, int value, size_t bytes) {
  return reporting([&] { deviceMemory().fill(pointer, static_cast<uint32_t>(value), 1, bytes); });
}
int cudaMemsetAsync(void* pointer, int value, size_t bytes, void* stream) {
  int status = checkStream(stream);
  return status ? status : cudaMemset(pointer, value, bytes);
}
int cudaMemGetInfo(size_t* free, size_t* total) {
  return reporting([&] {
    DeviceMemory::Usage usage = deviceMemory().usage();
    *free = usage.free;
    *total = usage.total;
  });
}

int cudaStreamCreate(void** stream) {
  std::lock_guard lock(handles().mutex);
  *stream = std::malloc(1);
  handles().streams.insert(*stream);
  return kSuccess;
}
int cudaStreamCreateWithFlags(void** stream, unsigned) { return cudaStreamCreate(stream); }
int cudaStreamCreateWithPriority(void** stream, unsigned, int) { return cudaStreamCreate(stream); }
int cudaStreamSynchronize(void* stream) { return checkStream(stream); }
int cudaStreamQuery(void* stream) { return checkStream(stream); }
int cudaStreamWaitEvent(void* stream, void*, unsigned) { return checkStream(stream); }
int cudaStreamDestroy(void* stream) {
  std::lock_guard lock(handles().mutex);
  if (!handles().streams.erase(stream)) return failed(kInvalidHandle, "no such stream");
  std::free(stream);
  return kSuccess;
}

int cudaEventCreate(void** event) {
  std::lock_guard lock(handles().mutex);
  *event = std::malloc(1);
  handles().events[*event] = {};
  return kSuccess;
}
int cudaEventCreateWithFlags(void** event, unsigned) { return cudaEventCreate(event); }
int cudaEventRecord(void* event, void* stream) {
  int status = checkStream(stream);
  if (status) return status;
  return withEvent(event, [](Clock::time_point& time) {
    time = Clock::now();
    return kSuccess;
  });
}
int cudaEventSynchronize(void* event) {
  return withEvent(event, [](Clock::time_point&) { return kSuccess; });
}
int cudaEventQuery(void* event) { return cudaEventSynchronize(event); }
int cudaEventElapsedTime(float* milliseconds, void* start, void* end) {
  Clock::time_point first, last;
  auto take = [](Clock::time_point& into) {
    return [&into](Clock::time_point& time) {
      into = time;
      return kSuccess;
    };
  };
  int status = withEvent(start, take(first));
  if (!status) status = withEvent(end, take(last));
  if (status) return status;
  if (first == Clock::time_point{} || last == Clock::time_point{})
    return failed(kInvalidHandle, "an event that was not recorded");
  *milliseconds = std::chrono::duration<float, std::milli>(last - first).count();
  return kSuccess;
}
int cudaEventDestroy(void* event) {
  std::lock_guard lock(handles().mutex);
  if (!handles().events.erase(event)) return failed(kInvalidHandle, "no such event");
  std::free(event);
  return kSuccess;
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
