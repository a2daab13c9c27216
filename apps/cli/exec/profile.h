#pragma once

#include <carnot/report.h>

#include <string>

#include "cli/exec/inference.h"
#include "cli/exec/log.h"

namespace carnot::cli::exec {

// The section "Profile": the classic table of each layer's time; after its last row, "Total", a
// second table of what each layer does: precision, work, bound, kernel and ONNX nodes.
void dumpProfile(const LayerTimes& times, const std::vector<LayerReport>& layers,
                 const Output& output);

// The same as JSON: [{"count"}, {"name", "timeMs", …}, …]. Throws Error (Io).
void exportProfile(const std::string& path, const LayerTimes& times,
                   const std::vector<LayerReport>& layers);

}  // namespace carnot::cli::exec
