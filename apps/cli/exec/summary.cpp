#include "cli/exec/summary.h"

#include <carnot/device.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <numeric>

#include "cli/exec/export.h"

namespace carnot::cli::exec {

namespace {

using Part = double (Query::*)() const;

std::vector<double> sortedTimes(const Trace& trace, Part part) {
  std::vector<double> times;
  for (const Query& query : trace.queries) times.push_back((query.*part)());
  std::ranges::sort(times);
  return times;
}

void reportAverages(const Trace& trace, int runs, const Output& output) {
  output.section("Trace details");
  output.info(fmt::format("Trace averages of {} runs:", runs));
  size_t size = static_cast<size_t>(runs);
  for (size_t begin = 0; begin + size <= trace.queries.size(); begin += size) {
    auto average = [&](Part part) {
      double sum = 0;
      for (size_t i = begin; i < begin + size; ++i) sum += (trace.queries[i].*part)();
      return numberText(sum / runs);
    };
    output.info(fmt::format(
        "Average on {} runs - GPU latency: {} ms - Host latency: {} ms (enqueue {} ms)", runs,
        average(&Query::compute), average(&Query::latency), average(&Query::enqueue)));
  }
}

std::string statisticsText(const std::vector<double>& sorted,
                           const std::vector<double>& percentiles) {
  Statistics statistics = statisticsOf(sorted);
  std::string text = fmt::format("min = {} ms, max = {} ms, mean = {} ms, median = {} ms",
                                 numberText(statistics.min), numberText(statistics.max),
                                 numberText(statistics.mean), numberText(statistics.median));
  for (double percent : percentiles)
    text += fmt::format(", percentile({}%) = {} ms", numberText(percent),
                        numberText(percentileOf(sorted, percent)));
  return text;
}

void warnOfTransfers(const char* which, const Output& output) {
  output.warning(
      fmt::format("* Throughput may be bound by {} rather than GPU Compute and the GPU may be "
                  "under-utilized.",
                  which));
  output.warning("  Add --noDataTransfers flag to disable data transfers.");
}

void reportWarnings(const Statistics& compute, const Trace& trace, const InferenceFlags& flags,
                    const Output& output) {
  auto medianOf = [&](Part part) { return statisticsOf(sortedTimes(trace, part)).median; };
  if (medianOf(&Query::enqueue) > 0.8 * compute.median) {
    output.warning(
        "* Throughput may be bound by Enqueue Time rather than GPU Compute and the GPU may be "
        "under-utilized.");
    output.warning(deviceInfo().kind == "cpu"
                       ? "  On the CPU the call that enqueues an inference computes it: both times "
                         "are one, and there is nothing to gain."
                       : "  If not already in use, --useCudaGraph may increase the throughput.");
  }
  if (flags.copies() && medianOf(&Query::h2d) >= compute.median)
    warnOfTransfers("host-to-device transfers for the inputs", output);
  if (flags.copies() && medianOf(&Query::d2h) >= compute.median)
    warnOfTransfers("device-to-host transfers for the outputs", output);
  if (compute.variation > 0.025) {
    output.warning(
        fmt::format("* GPU compute time is unstable, with coefficient of variance = {}%.",
                    numberText(compute.variation * 100)));
    output.warning(
        "  Other work on the machine and changing clock frequencies are the usual cause.");
  }
  if (flags.streams.value_or(1) > 1)
    output.warning(
        "* Multiple inference streams are used. Latencies may not be accurate since inferences may "
        "run in parallel.\n  Please use \"Throughput\" as the performance metric instead.");
}

void explainMetrics(const Output& output) {
  output.detail("");
  output.detail("=== Explanations of the performance metrics ===");
  output.detail(
      "Total Host Walltime: from the start of the first inference after the warm-up to the end of "
      "the last.\n"
      "GPU Compute Time: the time that the device takes to run an inference's layers.\n"
      "Total GPU Compute Time: the sum of it. Much less than the walltime: the device waits for "
      "the "
      "host or for copies.\n"
      "Throughput: inferences over Total Host Walltime.\n"
      "Enqueue Time: the time that the host takes to enqueue an inference; on the CPU, to compute "
      "it.\n"
      "H2D Latency: the time to copy the inputs from the host to the device.\n"
      "D2H Latency: the time to copy the outputs from the device to the host.\n"
      "Latency: the sum of H2D Latency, GPU Compute Time and D2H Latency, of one inference.");
}

}  // namespace

double percentileOf(const std::vector<double>& sorted, double percent) {
  if (sorted.empty()) return 0;
  double rank = std::ceil(percent / 100 * static_cast<double>(sorted.size()));
  return sorted[static_cast<size_t>(std::max(rank, 1.0)) - 1];
}

Statistics statisticsOf(const std::vector<double>& sorted) {
  if (sorted.empty()) return {};
  double count = static_cast<double>(sorted.size());
  Statistics statistics{sorted.front(), sorted.back()};
  statistics.mean = std::accumulate(sorted.begin(), sorted.end(), 0.0) / count;
  size_t middle = sorted.size() / 2;
  statistics.median =
      sorted.size() % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
  double squares = 0;
  for (double value : sorted) squares += (value - statistics.mean) * (value - statistics.mean);
  if (statistics.mean > 0) statistics.variation = std::sqrt(squares / count) / statistics.mean;
  return statistics;
}

void reportTrace(const Trace& trace, const InferenceFlags& flags, const ReportFlags& report,
                 const Output& output) {
  output.info(fmt::format("Warmup completed {} queries over {} ms", trace.warmUpQueries,
                          numberText(trace.warmUpMilliseconds)));
  double wallSeconds = trace.wallMilliseconds / 1000;
  output.info(fmt::format("Timing trace has {} queries over {} s", trace.queries.size(),
                          numberText(wallSeconds)));
  reportAverages(trace, report.averageRuns, output);
  output.section("Performance summary");
  std::vector<double> compute = sortedTimes(trace, &Query::compute);
  output.info(fmt::format("Throughput: {} qps",
                          numberText(static_cast<double>(trace.queries.size()) / wallSeconds)));
  auto row = [&](const char* label, Part part) {
    output.info(
        fmt::format("{}: {}", label, statisticsText(sortedTimes(trace, part), report.percentiles)));
  };
  row("Latency", &Query::latency);
  row("Enqueue Time", &Query::enqueue);
  row("H2D Latency", &Query::h2d);
  row("GPU Compute Time", &Query::compute);
  row("D2H Latency", &Query::d2h);
  output.info(fmt::format("Total Host Walltime: {} s", numberText(wallSeconds)));
  output.info(fmt::format("Total GPU Compute Time: {} s",
                          numberText(std::accumulate(compute.begin(), compute.end(), 0.0) / 1000)));
  reportWarnings(statisticsOf(compute), trace, flags, output);
  output.info("Explanations of the performance metrics are printed in the verbose logs.");
  explainMetrics(output);
}

void exportTimes(const std::string& path, const Trace& trace) {
  nlohmann::ordered_json json = nlohmann::ordered_json::array();
  for (const Query& query : trace.queries)
    json.push_back({{"startEnqMs", query.startEnqueue},
                    {"endEnqMs", query.endEnqueue},
                    {"startH2dMs", query.startH2d},
                    {"endH2dMs", query.endH2d},
                    {"startComputeMs", query.startCompute},
                    {"endComputeMs", query.endCompute},
                    {"startD2hMs", query.startD2h},
                    {"endD2hMs", query.endD2h},
                    {"h2dMs", query.h2d()},
                    {"computeMs", query.compute()},
                    {"d2hMs", query.d2h()},
                    {"latencyMs", query.latency()}});
  exportJson(path, json);
}

}  // namespace carnot::cli::exec
