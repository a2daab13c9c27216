#pragma once

#include <cstdint>
#include <vector>

#include "runtime/loaded_engine.h"

namespace carnot {

struct ShapePlan;

// Steps [first, last) that run in turns over parts of the batch: all of them for its first part,
// then for the next. What they hand on to each other is as large as a part, and stays in the
// caches.
struct Slices {
  size_t first = 0, last = 0;
  size_t symbol = 0;   // the batch
  int64_t images = 1;  // of it in a turn
  int64_t turns = 1;
};

// The steps that run so at the plan's shapes: those that compute each image from that image alone,
// where the whole batch's tensors outgrow the caches and the weights are small beside them. Of
// engines whose shapes are all known before they run, on a device with the host's memory.
std::vector<Slices> findSlices(const LoadedEngine::State& state, const ShapePlan& plan);

// Whether the tensor's first axis is the batch of `slices`.
bool isSliced(const EngineTensor& tensor, const Slices& slices);
// Whether only these steps touch the memory of `tensor`, so that it holds one part at a time.
bool staysWithin(const LoadedEngine::State& state, int32_t tensor, const Slices& slices);

}  // namespace carnot
