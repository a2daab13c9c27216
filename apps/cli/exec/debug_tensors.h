#pragma once

#include "cli/exec/bindings.h"

namespace carnot::cli::exec {

// Runs once more and writes the tensors that the flags ask for, each right after its layer wrote
// it, in row-major order. Throws Error: Io; InvalidArgument for a name that no layer writes.
void saveDebugTensors(Bindings& bindings, const ReportFlags& flags, const Output& output);

}  // namespace carnot::cli::exec
