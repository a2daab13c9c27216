#pragma once

#include <carnot/network.h>

#include "cli/exec/options.h"

namespace carnot::cli::exec {

// Gives the network's inputs and outputs the types of --inputIOFormats and --outputIOFormats: one
// entry for all, or one each, "fp16:chw". Throws Error (InvalidArgument).
void applyFormats(const BuildFlags& flags, Network& network);

}  // namespace carnot::cli::exec
