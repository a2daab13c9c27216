#pragma once

#include <cstdint>

#include "codegen/loop.h"

namespace carnot {

// The program of a pass with its folds as operations: after the pass's own Inputs come one a fold,
// what was folded so far; after the pass's own outputs, what is folded now. `masked`: one more
// Input, a Bool, says whether the element counts.
ScalarProgram foldingProgram(const Loop::Pass& pass, bool masked);
// Input 0 and Input 1 folded.
ScalarProgram foldOf(Fold fold, DType type);
// What folding nothing gives, as a constant and as bits in a lane of 32 or 64.
ScalarNode foldIdentity(Fold fold, DType type);
uint64_t foldIdentityBits(Fold fold, DType type);

}  // namespace carnot
