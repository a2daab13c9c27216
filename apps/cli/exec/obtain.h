#pragma once

#include <carnot/engine.h>

#include "cli/exec/log.h"
#include "cli/exec/options.h"

namespace carnot::cli::exec {

// Builds the engine, or loads it. A build shows its progress on a terminal and is cancelled by the
// first SIGINT or SIGTERM: Error (Interrupted).
Engine obtainEngine(const Options& options, const Output& output);

}  // namespace carnot::cli::exec
