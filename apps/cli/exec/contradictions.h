#pragma once

#include <string>
#include <vector>

#include "cli/exec/options.h"

namespace carnot::cli::exec {

// Adds a line for each thing asked for that another one excludes, and for what is missing.
void findContradictions(const Options& options, std::vector<std::string>& problems);

// Flags given that only a build heeds: without effect beside --loadEngine.
std::vector<std::string> buildFlagsGiven(const Options& options);
// Reports asked for that only inferences give: without effect beside --skipInference.
std::vector<std::string> inferenceFlagsGiven(const Options& options);

}  // namespace carnot::cli::exec
