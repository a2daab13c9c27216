#pragma once

#include <string>

#include "cli/exec/bindings.h"
#include "cli/exec/log.h"

namespace carnot::cli::exec {

// A tensor's name for a file's: "x:0" may name none everywhere.
std::string fileName(std::string_view name);

// What the last inference left, from the host's side.
void dumpOutputs(const Bindings& bindings, const Output& output);
// [{"name", "dimensions": "1x1000", "values"}]; what JSON has no number for is a string: "nan".
// Throws Error (Io).
void exportOutputs(const std::string& path, const Bindings& bindings);
// A file of raw bytes for each input and output, in the working folder. Throws Error (Io).
void dumpRawBindings(const Bindings& bindings, const Output& output);

}  // namespace carnot::cli::exec
