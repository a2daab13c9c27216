#pragma once

#include "devices/device.h"

namespace carnot {

// The most that the processor does per second with a pool's threads: float multiply-adds from
// registers (two flops each) and bytes read from memory beyond the caches.
struct MachineRates {
  double flops = 0;
  double bytes = 0;
};

// Measures for some 50 ms, with the widest vectors of `isa`.
MachineRates measureRates(ThreadPool& pool, IsaSet isa);

// One form for each instruction set: `rounds` of independent chains of multiply-adds, as many as
// registers hold, giving the flops done; and a sum over memory, so that it is read.
struct RateLoops {
  double (*multiplyAdd)(int64_t rounds, float* sink);
  uint64_t (*read)(const std::byte* data, size_t bytes);  // a multiple of 512
};
extern const RateLoops kRateLoopsAvx2, kRateLoopsAvx512;

}  // namespace carnot
