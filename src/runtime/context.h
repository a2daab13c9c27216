#pragma once

#include <memory>

#include "runtime/loaded_engine.h"

namespace carnot {

// `keepAlive` owns `state`.
std::unique_ptr<ExecutionContext> makeContext(std::shared_ptr<const LoadedEngine> keepAlive,
                                              const LoadedEngine::State& state);

// Of a body, whose work goes to the stream of what runs it. `state` and `stream` outlive it.
std::unique_ptr<ExecutionContext> makeBodyContext(const LoadedEngine::State& state, Stream& stream);

}  // namespace carnot
