#include "cli/exec/profile.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <numeric>

#include "cli/console.h"
#include "cli/exec/export.h"
#include "cli/exec/summary.h"

namespace carnot::cli::exec {

namespace {

// A row of the table, in milliseconds; share in percent.
struct Row {
  std::string name;
  double time = 0, average = 0, median = 0, share = 0;
};

// One for each layer, and the total at the end.
std::vector<Row> rowsOf(const LayerTimes& times) {
  std::vector<Row> rows;
  Row total{"Total"};
  for (size_t i = 0; i < times.names.size(); ++i) {
    std::vector<double> sorted = times.times[i];
    std::ranges::sort(sorted);
    Statistics statistics = statisticsOf(sorted);
    rows.push_back({times.names[i], std::accumulate(sorted.begin(), sorted.end(), 0.0),
                    statistics.mean, statistics.median});
    total.time += rows.back().time;
    total.average += rows.back().average;
    total.median += rows.back().median;
  }
  rows.push_back(total);
  for (Row& row : rows) row.share = total.time > 0 ? row.time / total.time * 100 : 0;
  return rows;
}

std::string rowText(const Row& row) {
  return fmt::format("{:>11.2f} {:>12.4f} {:>12.4f} {:>9.1f}   {}", row.time, row.average,
                     row.median, row.share, row.name);
}

const char* boundOf(const LayerReport& layer) { return layer.computeBound ? "compute" : "memory"; }

std::string detailsTable(const std::vector<LayerReport>& layers) {
  using enum Table::Align;
  Table table({Left, Right, Right, Right, Left, Left, Left, Left}, "  ");
  table.add({"Precision", "Mflop", "MiB", "flop/B", "Bound", "Kernel", "Layer", "ONNX nodes"});
  for (const LayerReport& layer : layers)
    table.add({layer.precision, fmt::format("{:.3f}", layer.flops / 1e6),
               fmt::format("{:.3f}", layer.bytes / (1 << 20)),
               fmt::format("{:.2f}", layer.intensity), boundOf(layer), layer.kernel, layer.name,
               joinNames(layer.origins)});
  std::string text = table.text();
  text.pop_back();  // the last newline
  return text;
}

}  // namespace

void dumpProfile(const LayerTimes& times, const std::vector<LayerReport>& layers,
                 const Output& output) {
  output.section(fmt::format("Profile ({} iterations )", times.runs));
  output.info("   Time(ms)     Avg.(ms)   Median(ms)   Time(%)   Layer");
  for (const Row& row : rowsOf(times)) output.info(rowText(row));
  output.section(fmt::format("Work of the layers ({})", layers.size()));
  output.info(detailsTable(layers));
}

void exportProfile(const std::string& path, const LayerTimes& times,
                   const std::vector<LayerReport>& layers) {
  nlohmann::ordered_json json = nlohmann::ordered_json::array();
  json.push_back({{"count", times.runs}});
  std::vector<Row> rows = rowsOf(times);
  for (size_t i = 0; i < layers.size(); ++i) {
    const Row& row = rows.at(i);
    const LayerReport& layer = layers[i];
    json.push_back({{"name", row.name},
                    {"timeMs", row.time},
                    {"averageMs", row.average},
                    {"medianMs", row.median},
                    {"percentage", row.share},
                    {"precision", layer.precision},
                    {"tactic", layer.kernel},
                    {"operators", layer.operators},
                    {"flops", layer.flops},
                    {"bytes", layer.bytes},
                    {"intensity", layer.intensity},
                    {"bound", boundOf(layer)},
                    {"onnxNodes", layer.origins}});
  }
  exportJson(path, json);
}

}  // namespace carnot::cli::exec
