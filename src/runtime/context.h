#pragma once

#include <memory>

#include "runtime/loaded_engine.h"

namespace carnot {

// `keepAlive` owns `state`.
std::unique_ptr<ExecutionContext> makeContext(std::shared_ptr<const LoadedEngine> keepAlive,
                                              const LoadedEngine::State& state);

}  // namespace carnot
