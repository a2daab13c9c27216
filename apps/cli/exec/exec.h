#pragma once

#include <string>
#include <vector>

namespace carnot::cli::exec {

// `carnot exec`: builds or loads an engine, runs and times it, in trtexec's dialect. Gives the exit
// status: 0 passed, 1 failed, 128 + signal interrupted. Throws Error (Io) when standard output
// cannot be written.
int runExec(const std::vector<std::string>& arguments);

}  // namespace carnot::cli::exec
