#pragma once

#include <carnot/runtime.h>

#include <memory>

#include "runtime/runtime.h"

namespace carnot {

// What the API's Engine holds.
struct Engine::State {
  std::shared_ptr<LoadedEngine> loaded;
  std::vector<TensorInfo> inputs, states, outputs;
  // Place of state `index` among the inputs of the engine's data.
  int inputOfState(int index) const { return static_cast<int>(inputs.size()) + index; }
};

// What the API's Context holds.
struct Context::State {
  Engine engine;
  std::unique_ptr<ExecutionContext> context;
};

// The API's handle to engine data, its kernels bound. Throws what LoadedEngine::create throws.
Engine wrapEngine(std::shared_ptr<const EngineData> data, int threads);

}  // namespace carnot
