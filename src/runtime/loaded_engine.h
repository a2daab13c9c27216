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
  mutable PlanCache plans;
  mutable std::atomic<bool> specialized = false;  // for any shape yet
};

}  // namespace carnot
