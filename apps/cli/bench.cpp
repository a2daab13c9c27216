#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "cli/commands.h"
#include "cli/console.h"
#include "cli/exec/input_file.h"
#include "cli/exec/name_pattern.h"
#include "cli/exec/values.h"
#include "cli/json.h"
#include "cli/shapes.h"
#include "cli/source.h"

namespace carnot::cli {

namespace {

using enum Table::Align;

std::string shapesText(const std::map<std::string, std::vector<int64_t>>& shapes) {
  std::vector<std::string> texts;
  for (const auto& [name, dims] : shapes) texts.push_back(name + ":" + shapeText(dims));
  return joinNames(texts);
}

std::string summary(const Source& source, const EngineInfo& info, const BenchReport& report) {
  Table table({Left, Left});
  table.add({"file", source.path});
  table.add({"device", info.device});
  if (const std::string reason = deviceReason(source); !reason.empty())
    table.add({"chosen", reason});
  table.add({"threads", fmt::format("{}", report.threads)});
  table.add({"inputs", shapesText(report.inputShapes)});
  table.add({"outputs", shapesText(report.outputShapes)});
  Table numbers({Left, Right, Left});
  auto milliseconds = [&](const std::string& name, double value) {
    numbers.add({name, fmt::format("{:.4f}", value), "ms"});
  };
  numbers.add({"throughput", fmt::format("{:.2f}", report.throughput),
               fmt::format("runs/s, over {} runs", report.iterations)});
  milliseconds("latency minimum", report.minimum);
  milliseconds("latency mean", report.mean);
  milliseconds("latency median", report.median);
  for (const Percentile& percentile : report.percentiles)
    milliseconds(fmt::format("latency p{:g}", percentile.percent), percentile.milliseconds);
  milliseconds("latency maximum", report.maximum);
  if (info.deviceKind != "cpu")
    for (const auto& [name, part] :
         {std::pair("H2D", report.copyIn), std::pair("GPU compute", report.compute),
          std::pair("D2H", report.copyOut)}) {
      milliseconds(fmt::format("{} minimum", name), part.minimum);
      milliseconds(fmt::format("{} median", name), part.median);
    }
  auto memory = [&](const char* name, double bytes) {
    std::string size = sizeText(bytes);
    size_t unit = size.find(' ');
    numbers.add({name, size.substr(0, unit), size.substr(unit + 1)});
  };
  memory("weights", static_cast<double>(report.weightBytes));
  memory("memory between layers", static_cast<double>(report.memory.arenaBytes));
  memory("least that it needs", static_cast<double>(report.memory.lowerBoundBytes));
  return table.text() + "\n" + numbers.text();
}

std::vector<std::string> layerRow(const LayerReport& layer) {
  constexpr size_t kOriginsWidth = 48;
  return {fmt::format("{:.4f}", layer.milliseconds),
          fmt::format("{:.1f}", layer.share * 100),
          fmt::format("{:.2f}", layer.flops / 1e6),
          fmt::format("{:.3f}", layer.bytes / (1 << 20)),
          fmt::format("{:.2f}", layer.intensity),
          layer.computeBound ? "compute" : "memory",
          layer.precision,
          layer.kernel,
          layer.operators,
          joinNames(layer.origins, kOriginsWidth)};
}

std::string layersTable(const BenchArguments& arguments, const BenchReport& report) {
  std::vector<const LayerReport*> layers;
  for (const LayerReport& layer : report.layers) layers.push_back(&layer);
  if (!arguments.all) {
    std::ranges::stable_sort(layers, std::greater(), &LayerReport::milliseconds);
    layers.resize(std::min(layers.size(), arguments.top));
  }
  Table table({Right, Right, Right, Right, Right, Left, Left, Left, Left, Left});
  table.add({"ms", "%", "Mflop", "MiB", "flop/B", "bound", "precision", "kernel", "operators",
             "ONNX nodes"});
  double shown = 0;
  for (const LayerReport* layer : layers) {
    table.add(layerRow(*layer));
    shown += layer->milliseconds;
  }
  double sum = std::transform_reduce(report.layers.begin(), report.layers.end(), 0.0, std::plus(),
                                     [](const LayerReport& layer) { return layer.milliseconds; });
  std::string text = fmt::format(
      "{} of {} layers, {}: {:.4f} of {:.4f} ms\n"
      "This machine: {:.1f} Gflop/s, {:.1f} GB/s, so that {:.1f} flop/B part memory- from "
      "compute-bound\n\n",
      layers.size(), report.layers.size(), arguments.all ? "in order" : "slowest first", shown, sum,
      report.peakFlops / 1e9, report.peakBytes / 1e9,
      report.peakBytes > 0 ? report.peakFlops / report.peakBytes : 0);
  return text + table.text();
}

}  // namespace

void runBench(const BenchArguments& arguments) {
  Engine engine = openSource(arguments.source);
  BenchOptions options = arguments.options;
  if (!arguments.inputFiles.empty()) {
    std::vector<std::string> names;
    for (const TensorInfo& info : engine.inputs()) names.push_back(info.name);
    const auto files = exec::namedFiles(arguments.inputFiles);
    for (const auto& entry : files) exec::requireMatch("--loadInputs", entry.first, names);
    options.fill = [files](const TensorInfo& info, const std::vector<int64_t>& dims,
                           std::span<std::byte> contents) {
      const std::string* file = exec::findByName(files, info.name);
      if (file) exec::readContents(*file, info, dims, contents);
      return file != nullptr;
    };
  }
  BenchReport report = bench(engine, options);
  if (arguments.json) {
    writeResult(benchJson(arguments.source.path, engine.info(), report));
    return;
  }
  std::string text = summary(arguments.source, engine.info(), report);
  if (!report.layers.empty()) text += "\n" + layersTable(arguments, report);
  writeResult(text);
}

}  // namespace carnot::cli
