#pragma once

#include <cstddef>
#include <string>

namespace carnot {

// The device that engines are built for and run on where no other is asked for: of the kind that
// CARNOT_DEVICE names, else the CPU.
struct DeviceInfo {
  std::string kind;   // "cpu", "cuda"
  std::string model;  // "AMD EPYC 7B13", "NVIDIA H200"
  std::string isa;    // "avx2+avx512", "compute capability 9.0"
  int threads = 1;    // that an engine built or run with default options uses
  size_t l1Bytes = 0, l2Bytes = 0, l3Bytes = 0;
};
// Throws Error (Unsupported), with the reason, when there is none such here.
DeviceInfo deviceInfo();

}  // namespace carnot
