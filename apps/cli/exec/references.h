#pragma once

#include "cli/exec/bindings.h"

namespace carnot::cli::exec {

// Runs the inputs of every pair and compares the outputs with their references: a line for each,
// and Error (InvalidArgument) after the last if any is further than the threshold allows. What
// load and run throw passes.
void compareReferences(Bindings& bindings, const InferenceFlags& flags, const Output& output);

}  // namespace carnot::cli::exec
