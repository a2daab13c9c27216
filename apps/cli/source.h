#pragma once

#include <carnot/engine.h>

#include "cli/commands.h"

namespace carnot::cli {

// Builds with progress and log on standard error. While it runs, the first SIGINT or SIGTERM
// cancels the build: Error (Interrupted). The second ends the program.
Engine buildSource(const Source& source);

// Builds a model, loads an engine. Throws Error (InvalidArgument) for build flags beside an engine.
Engine openSource(const Source& source);

// Why a source that is built is built for its device, where no argument says so; else "".
std::string deviceReason(const Source& source);

}  // namespace carnot::cli
