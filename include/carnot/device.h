#pragma once

#include <cstddef>
#include <string>

namespace carnot {

// What a program was written for.
enum class DeviceUse { Carnot, Cuda };

// The device that engines are built for and run on where no argument asks for another.
struct DeviceInfo {
  std::string kind;    // "cpu", "cuda"
  std::string model;   // "AMD EPYC 7B13", "NVIDIA H200"
  std::string reason;  // why it is this kind and no other: "CARNOT_DEVICE says so"
  std::string isa;     // "avx2+avx512", "compute capability 9.0"
  int computeCapability = 0, multiprocessors = 0;  // of a GPU: 90 for 9.0
  int threads = 1;  // that an engine built or run with default options uses
  size_t l1Bytes = 0, l2Bytes = 0, l3Bytes = 0;
};
// The kind that CARNOT_DEVICE names; without it for programs of Carnot's own the CPU, for those
// written for CUDA or TensorRT a GPU, if one can be used. Throws Error (Unsupported), with the
// reason, where CARNOT_DEVICE names one that is not there.
DeviceInfo deviceInfo(DeviceUse use = DeviceUse::Cuda);

}  // namespace carnot
