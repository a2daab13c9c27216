#include <carnot/report.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/error.h"

namespace carnot {
namespace {

using nlohmann::json;

// "/encoder/conv, /encoder/relu and 3 more"
std::string shortList(const std::vector<std::string>& names, size_t most) {
  if (names.size() <= most) return fmt::format("{}", fmt::join(names, ", "));
  return fmt::format("{} and {} more", fmt::join(names.begin(), names.begin() + most, ", "),
                     names.size() - most);
}

std::string pointText(const json& point) {
  std::string text;
  for (const auto& [symbol, value] : point.items())
    text += fmt::format("{}{} = {}", text.empty() ? "" : ", ", symbol, value.get<int64_t>());
  return text.empty() ? "fixed shapes" : text;
}

std::string timeText(const json& time) {
  double microseconds = time.at("microseconds");
  return fmt::format("{}{:.1f}", time.at("measured").get<bool>() ? "" : "~", microseconds);
}

void appendStep(const json& step, std::string& out) {
  auto origins = step.at("origins").get<std::vector<std::string>>();
  out += fmt::format("\n{} ({})\n  from {}\n", step.at("name").get<std::string>(),
                     step.at("operators").get<std::string>(), fmt::join(origins, ", "));
  if (step.contains("inputs"))
    out += fmt::format("  {} -> {}\n",
                       fmt::join(step.at("inputs").get<std::vector<std::string>>(), ", "),
                       fmt::join(step.value("outputs", std::vector<std::string>()), ", "));
  auto chosen = step.at("chosen").get<std::vector<size_t>>();
  const json& candidates = step.value("candidates", json::array());
  for (size_t i = 0; i < candidates.size(); ++i) {
    std::string times;
    for (const json& time : candidates[i].at("times"))
      times += fmt::format(" {:>10}", timeText(time));
    std::string name = candidates[i].at("kernel").get<std::string>();
    if (std::string configuration = candidates[i].value("configuration", "");
        !configuration.empty())
      name += " {" + configuration + "}";
    out += fmt::format("  {}{} µs  {}\n", std::ranges::count(chosen, i) ? '*' : ' ', times, name);
  }
  for (const json& refusal : step.value("refusals", json::array()))
    out += fmt::format("  - {}: {}\n", refusal.at("kernel").get<std::string>(),
                       refusal.at("reason").get<std::string>());
}

}  // namespace

std::string layerTable(const std::vector<LayerReport>& layers, size_t most) {
  std::vector<const LayerReport*> rows;
  for (const LayerReport& layer : layers) rows.push_back(&layer);
  std::ranges::stable_sort(rows, std::greater(), &LayerReport::milliseconds);
  if (most > 0 && rows.size() > most) rows.resize(most);
  size_t kernel = 6;
  for (const LayerReport* row : rows) kernel = std::max(kernel, row->kernel.size());
  std::string out =
      fmt::format("{:>9} {:>6} {:>9} {:>9} {:>7}  {:<7}  {:<{}}  {}\n", "ms", "share", "MFLOP",
                  "MB", "flop/B", "bound", "kernel", kernel, "layer: operators (ONNX nodes)");
  for (const LayerReport* row : rows)
    out += fmt::format("{:9.4f} {:5.1f}% {:9.2f} {:9.3f} {:7.1f}  {:<7}  {:<{}}  {}: {} ({})\n",
                       row->milliseconds, row->share * 100, row->flops / 1e6, row->bytes / 1e6,
                       row->intensity, row->computeBound ? "compute" : "memory", row->kernel,
                       kernel, row->name, row->operators, shortList(row->origins, 3));
  return out;
}

std::string explanationText(const std::string& explanation) {
  try {
    json root = json::parse(explanation);
    std::string out = fmt::format("device: {}\n", root.value("device", "unknown"));
    out += "Times in µs, one column for each point tuned at (~ estimated, * chosen):\n";
    for (const json& point : root.value("points", json::array()))
      out += fmt::format("  {}\n", pointText(point));
    for (const json& step : root.at("steps")) appendStep(step, out);
    return out;
  } catch (const json::exception& error) {
    throw Error(ErrorCode::InvalidModel, fmt::format("an explanation with {}", error.what()),
                "the JSON that the builder writes", "build the engine again");
  }
}

}  // namespace carnot
