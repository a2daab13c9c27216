#pragma once

#include "cli/exec/log.h"
#include "cli/exec/options.h"

namespace carnot::cli::exec {

// The sections that say what was understood: Model, Build, System, Inference and Reporting Options.
void echoOptions(const Options& options, const Output& output);
void echoDevice(const Output& output);

}  // namespace carnot::cli::exec
