#include "devices/cuda/cuda_device.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"
#include "devices/cuda/cublaslt.h"
#include "devices/cuda/cudnn.h"
#include "devices/cuda/driver.h"
#include "devices/cuda/nvrtc.h"
#include "devices/cuda/recording.h"

namespace carnot::cuda {
namespace {

CUdeviceptr addressOf(const void* pointer) { return reinterpret_cast<CUdeviceptr>(pointer); }
CUstream nativeOf(Stream& stream) { return static_cast<CUstream>(stream.native()); }

struct Gpu {
  CUdevice device = 0;
  CUcontext context = nullptr;
  DeviceTraits traits;
};

int attribute(CUdevice device, CUdevice_attribute which) {
  int value = 0;
  check(driver().cuDeviceGetAttribute(&value, which, device), "asking the device");
  return value;
}

Gpu findGpu() {
  Gpu gpu;
  int count = 0;
  check(driver().cuDeviceGetCount(&count), "counting devices");
  if (count == 0)
    throw Error(ErrorCode::Unsupported, "NVIDIA's driver sees no GPU", "one",
                "look at CUDA_VISIBLE_DEVICES, or use device cpu");
  check(driver().cuDeviceGet(&gpu.device, 0), "choosing a device");
  DeviceTraits& traits = gpu.traits;
  traits.kind = "cuda";
  char name[256] = {};
  check(driver().cuDeviceGetName(name, sizeof name, gpu.device), "asking the device's name");
  traits.model = name;
  traits.computeCapability =
      10 * attribute(gpu.device, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR) +
      attribute(gpu.device, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR);
  traits.multiprocessors = attribute(gpu.device, CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT);
  traits.l1Bytes = static_cast<size_t>(
      attribute(gpu.device, CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN));
  traits.l2Bytes = static_cast<size_t>(attribute(gpu.device, CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE));
  traits.l3Bytes = 0;
  check(driver().cuDeviceTotalMem(&traits.memoryBytes, gpu.device), "asking the device's memory");
  // Two transfers a clock, which is given in kHz; the width in bits.
  traits.memoryBandwidth = 2e3 / 8 * attribute(gpu.device, CU_DEVICE_ATTRIBUTE_MEMORY_CLOCK_RATE) *
                           attribute(gpu.device, CU_DEVICE_ATTRIBUTE_GLOBAL_MEMORY_BUS_WIDTH);
  if (traits.memoryBandwidth <= 0) traits.memoryBandwidth = 1e12;
  int version = 0;
  check(driver().cuDriverGetVersion(&version), "asking the driver's version");
  traits.libraries =
      fmt::format("driver {}.{}, NVRTC {}, {}, {}", version / 1000, version % 1000 / 10,
                  nvrtcVersion(), cublasLtVersion(), cudnnVersion());
  check(driver().cuDevicePrimaryCtxRetain(&gpu.context, gpu.device), "opening the device");
  return gpu;
}

// Lives as long as the process, as the driver's context does.
const Gpu& gpu() {
  static const auto* gpu = new Gpu(findGpu());
  return *gpu;
}

// Of a query that does not wait.
bool isDone(CUresult result) {
  if (result == CUDA_ERROR_NOT_READY) return false;
  check(result, "asking whether work is done");
  return true;
}

// One of the application's.
class BorrowedStream : public Stream {
 public:
  explicit BorrowedStream(CUstream stream) : stream_(stream) {}
  // The default streams' handles mean those of the context that is current.
  void synchronize() override {
    activateDevice();
    check(driver().cuStreamSynchronize(stream_), "waiting for the device");
  }
  bool idle() override {
    activateDevice();
    return isDone(driver().cuStreamQuery(stream_));
  }
  void wait(Event& event) override;
  void* native() override { return stream_; }

 protected:
  CUstream stream_ = nullptr;
};

class CudaStream final : public BorrowedStream {
 public:
  explicit CudaStream(unsigned int flags) : BorrowedStream(nullptr) {
    activateDevice();
    check(driver().cuStreamCreate(&stream_, flags), "making a stream");
  }
  ~CudaStream() override { driver().cuStreamDestroy(stream_); }
};

class CudaEvent final : public Event {
 public:
  CudaEvent() {
    activateDevice();
    check(driver().cuEventCreate(&event_, CU_EVENT_DEFAULT), "making an event");
  }
  ~CudaEvent() override { driver().cuEventDestroy(event_); }
  void record(Stream& stream) override {
    activateDevice();
    check(driver().cuEventRecord(event_, nativeOf(stream)), "recording an event");
  }
  void synchronize() override {
    check(driver().cuEventSynchronize(event_), "waiting for the device");
  }
  bool reached() const override { return isDone(driver().cuEventQuery(event_)); }
  double millisecondsSince(const Event& earlier) const override {
    float milliseconds = 0;
    check(driver().cuEventElapsedTime(&milliseconds, static_cast<const CudaEvent&>(earlier).event_,
                                      event_),
          "reading the time between events");
    return milliseconds;
  }

 private:
  friend BorrowedStream;
  CUevent event_ = nullptr;
};

void BorrowedStream::wait(Event& event) {
  activateDevice();
  check(driver().cuStreamWaitEvent(stream_, static_cast<CudaEvent&>(event).event_, 0),
        "making a stream wait");
}

class CudaDevice final : public Device {
 public:
  explicit CudaDevice(DeviceTraits traits) : traits_(std::move(traits)) {}
  const DeviceTraits& traits() const override { return traits_; }
  bool sharesHostMemory() const override { return false; }

  bool reaches(const void* address) const override {
    activateDevice();
    // The plural form takes an address that is none of the driver's without an error.
    unsigned int type = 0;
    CUpointer_attribute which = CU_POINTER_ATTRIBUTE_MEMORY_TYPE;
    void* answer = &type;
    return driver().cuPointerGetAttributes(1, &which, &answer, addressOf(address)) ==
               CUDA_SUCCESS &&
           type == CU_MEMORYTYPE_DEVICE;
  }
  void activate() override { activateDevice(); }

  std::shared_ptr<Buffer> allocate(size_t bytes) override {
    activateDevice();
    CUdeviceptr address = 0;
    check(driver().cuMemAlloc(&address, std::max<size_t>(bytes, 1)),
          fmt::format("allocating {} bytes on {}", bytes, traits_.model).c_str());
    auto* data = reinterpret_cast<void*>(address);
    std::shared_ptr<void> owner(data, [](void* memory) {
      activateDevice();
      driver().cuMemFree(addressOf(memory));
    });
    return Buffer::borrow(data, bytes, std::move(owner));
  }
  std::shared_ptr<Buffer> allocateHost(size_t bytes) override {
    activateDevice();
    void* data = nullptr;
    check(driver().cuMemHostAlloc(&data, std::max<size_t>(bytes, 1), CU_MEMHOSTALLOC_PORTABLE),
          fmt::format("locking {} bytes of the host's memory", bytes).c_str());
    std::shared_ptr<void> owner(data, [](void* memory) {
      activateDevice();
      driver().cuMemFreeHost(memory);
    });
    return Buffer::borrow(data, bytes, std::move(owner));
  }
  size_t freeBytes() const override {
    activateDevice();
    size_t free = 0, total = 0;
    check(driver().cuMemGetInfo(&free, &total), "asking for free memory");
    return free;
  }
  std::unique_ptr<Stream> createStream(bool afterDefault) override {
    return std::make_unique<CudaStream>(afterDefault ? CU_STREAM_DEFAULT : CU_STREAM_NON_BLOCKING);
  }
  std::unique_ptr<Stream> streamAt(void* native) override {
    return std::make_unique<BorrowedStream>(static_cast<CUstream>(native));
  }
  std::unique_ptr<Event> createEvent() override { return std::make_unique<CudaEvent>(); }

  void copyToDevice(void* dst, const void* src, size_t bytes, Stream& stream) override {
    if (bytes == 0) return;
    activateDevice();
    check(driver().cuMemcpyHtoDAsync(addressOf(dst), src, bytes, nativeOf(stream)),
          "copying to the device");
  }
  void copyFromDevice(void* dst, const void* src, size_t bytes, Stream& stream) override {
    if (bytes == 0) return;
    activateDevice();
    check(driver().cuMemcpyDtoHAsync(dst, addressOf(src), bytes, nativeOf(stream)),
          "copying from the device");
  }
  void copyOnDevice(void* dst, const void* src, size_t bytes, Stream& stream) override {
    if (bytes == 0) return;
    activateDevice();
    check(driver().cuMemcpyDtoDAsync(addressOf(dst), addressOf(src), bytes, nativeOf(stream)),
          "copying on the device");
  }
  void fill(void* dst, uint32_t value, int width, size_t count, Stream& stream) override {
    if (count == 0) return;
    activateDevice();
    const CUdeviceptr to = addressOf(dst);
    CUstream native = nativeOf(stream);
    check(width == 1   ? driver().cuMemsetD8Async(to, static_cast<uint8_t>(value), count, native)
          : width == 2 ? driver().cuMemsetD16Async(to, static_cast<uint16_t>(value), count, native)
                       : driver().cuMemsetD32Async(to, value, count, native),
          "filling device memory");
  }

  std::unique_ptr<Recording> record(Stream& stream, const std::function<void()>& issue,
                                    std::span<const MemoryRange> places) override {
    return recordGraph(stream, issue, places);
  }

 private:
  DeviceTraits traits_;
};

}  // namespace

const DeviceTraits& cudaTraits() { return gpu().traits; }

void activateDevice() { check(driver().cuCtxSetCurrent(gpu().context), "choosing the device"); }

std::unique_lock<std::recursive_mutex> holdRecording() {
  static auto* mutex = new std::recursive_mutex;
  return std::unique_lock(*mutex);
}

void synchronizeDevice() {
  const auto alone = holdRecording();
  activateDevice();
  check(driver().cuCtxSynchronize(), "waiting for the device");
}

std::shared_ptr<Device> openCuda(const DeviceTraits& traits) {
  cudaTraits();
  return std::make_shared<CudaDevice>(traits);
}

}  // namespace carnot::cuda
