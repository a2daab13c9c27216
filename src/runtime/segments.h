#pragma once

#include "runtime/loaded_engine.h"

namespace carnot {

// Cuts the engine behind every step that finds its outputs' dims: fills State::segments and what is
// known from when on. After findLives.
void findSegments(LoadedEngine::State& state);

}  // namespace carnot
