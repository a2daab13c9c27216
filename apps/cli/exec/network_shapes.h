#pragma once

#include <carnot/builder.h>

#include <vector>

#include "cli/exec/log.h"
#include "cli/exec/options.h"

namespace carnot::cli::exec {

// The profiles to build for: one for each spec; else, of a network with dynamic inputs, one at
// --shapes. Dynamic inputs that nothing speaks of follow the symbols of others, else their free
// dims are 1, with a warning. None when all shapes are the model's own. Throws Error
// (InvalidArgument) for a name that is no input's.
std::vector<Profile> buildProfiles(const Options& options, const std::vector<TensorInfo>& inputs,
                                   const Output& output);

// Dims of every input to run with: --shapes, else what follows from it, else the optimum of
// --useProfile or of the first profile; where any shape runs, free dims are 1, with a warning.
Shapes runShapes(const Options& options, const Engine& engine, const Output& output);

}  // namespace carnot::cli::exec
