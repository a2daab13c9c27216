#pragma once

#include <string_view>

#include "cli/exec/log.h"

namespace carnot::cli::exec {

// A line that says what memory the process and its device hold after a stage.
void reportMemory(std::string_view stage, const Output& output);

}  // namespace carnot::cli::exec
