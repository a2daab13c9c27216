#pragma once

#include "cli/exec/inference.h"
#include "cli/exec/log.h"
#include "cli/exec/options.h"

namespace carnot::cli::exec {

// The sections "Trace details" and "Performance summary", with warnings where the numbers mislead.
void reportTrace(const Trace& trace, const InferenceFlags& flags, const ReportFlags& report,
                 const Output& output);

// Every inference's times as a JSON array. Throws Error (Io).
void exportTimes(const std::string& path, const Trace& trace);

// Statistics of some values, which are sorted.
struct Statistics {
  double min = 0, max = 0, mean = 0, median = 0;
  double variation = 0;  // standard deviation over mean
};
Statistics statisticsOf(const std::vector<double>& sorted);

// Of sorted values: that which `percent` of them do not exceed.
double percentileOf(const std::vector<double>& sorted, double percent);

}  // namespace carnot::cli::exec
