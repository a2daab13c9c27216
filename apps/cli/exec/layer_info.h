#pragma once

#include <carnot/engine.h>

#include <string>

#include "cli/exec/log.h"
#include "cli/exec/options.h"

namespace carnot::cli::exec {

// The engine's layers: names, or all of it, or nothing, as the verbosity says.
void dumpLayerInfo(const Engine& engine, Verbosity verbosity, const Output& output);
// {"Layers": […], "Bindings": […]}. Throws Error (Io).
void exportLayerInfo(const std::string& path, const Engine& engine, Verbosity verbosity);

// Each profile's min, opt and max of every input.
void dumpOptimizationProfiles(const Engine& engine, const Output& output);

}  // namespace carnot::cli::exec
