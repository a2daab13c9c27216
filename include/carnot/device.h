#pragma once

#include <cstddef>
#include <string>

namespace carnot {

// The device that engines are built for and run on.
struct DeviceInfo {
  std::string kind;   // "cpu"
  std::string model;  // "AMD EPYC 7B13"
  std::string isa;    // "avx2+avx512"
  int threads = 1;    // that an engine built or run with default options uses
  size_t l1Bytes = 0, l2Bytes = 0, l3Bytes = 0;
};
DeviceInfo deviceInfo();

}  // namespace carnot
