#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "base/threads.h"
#include "devices/device.h"
#include "kernels/kernel.h"
#include "runtime/plan_cache.h"
#include "runtime/runtime.h"

namespace carnot {

// All that contexts share. Immutable but for the cache.
struct LoadedEngine::State {
  std::shared_ptr<const EngineData> engine;
  std::shared_ptr<const EngineData> root;  // the whole, of which `engine` may be a body
  std::shared_ptr<Device> device;
  std::shared_ptr<ThreadPool> pool;
  // Of each section of the engine, in the device's memory: the file's own where that is the host's.
  std::vector<const void*> weights;
  std::shared_ptr<Buffer> uploaded;
  std::vector<std::string> symbolNames;
  // Of each tensor, the one whose memory it lies in: itself unless it is a view.
  std::vector<int32_t> roots;
  // Steps that touch the memory of each root, first and last; first > last where none does.
  struct Life {
    int32_t first = INT32_MAX, last = -1;
  };
  std::vector<Life> lives;
  // What the application gets by copy: output `output` from tensor `source` after the last step.
  struct Copy {
    int32_t output, source;
  };
  std::vector<Copy> copies;
  std::vector<std::vector<std::unique_ptr<BoundKernel>>> kernels;  // step, variant
  // Steps [first, last) that are planned together, once the first `symbols` symbols are known. The
  // last step of all segments but the last one finds its outputs' dims.
  struct Segment {
    size_t first = 0, last = 0;
    size_t symbols = 0;
    bool finds = false;
    std::vector<int32_t> tensors;  // that its steps name, and their roots; ascending
  };
  std::vector<Segment> segments;
  size_t inputSymbols = 0;
  // The segment from which on all is known of each tensor; that in which a guard can be checked,
  // and in which each output's memory is needed.
  std::vector<int32_t> levels, guardLevels;
  std::vector<size_t> outputSegments;
  std::vector<std::unique_ptr<State>> bodies;
  mutable PlanCache plans;
  mutable std::atomic<bool> specialized = false;  // for any shape yet
};

}  // namespace carnot
