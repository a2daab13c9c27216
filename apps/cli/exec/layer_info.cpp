#include "cli/exec/layer_info.h"

#include <carnot/report.h>
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "cli/exec/export.h"

namespace carnot::cli::exec {

namespace {

using nlohmann::ordered_json;

ordered_json informationOf(const Engine& engine, Verbosity verbosity) {
  bool detailed = verbosity == Verbosity::Detailed;
  ordered_json json = ordered_json::parse(layerInformation(engine, detailed));
  if (verbosity == Verbosity::None) json["Layers"] = ordered_json::array();
  return json;
}

// A string, or an object in one line: "Name: conv1, LayerType: Conv, …".
std::string lineOf(const ordered_json& layer) {
  if (layer.is_string()) return layer.get<std::string>();
  std::string line;
  for (const auto& [key, value] : layer.items())
    line += fmt::format("{}{}: {}", line.empty() ? "" : ", ", key,
                        value.is_string()
                            ? value.get<std::string>()
                            : value.dump(-1, ' ', false, ordered_json::error_handler_t::replace));
  return line;
}

}  // namespace

void dumpLayerInfo(const Engine& engine, Verbosity verbosity, const Output& output) {
  ordered_json json = informationOf(engine, verbosity);
  if (verbosity != Verbosity::Detailed)
    output.info("--profilingVerbosity=detailed says all of each layer.");
  output.info("Layer Information:");
  output.info("Layers:");
  for (const ordered_json& layer : json.at("Layers")) output.info(lineOf(layer));
  output.info("");
  output.info("Bindings:");
  for (const ordered_json& name : json.at("Bindings")) output.info(lineOf(name));
}

void exportLayerInfo(const std::string& path, const Engine& engine, Verbosity verbosity) {
  exportJson(path, informationOf(engine, verbosity));
}

void dumpOptimizationProfiles(const Engine& engine, const Output& output) {
  output.info("Optimization Profiles:");
  EngineInfo info = engine.info();
  for (size_t i = 0; i < info.profiles.size(); ++i) {
    output.info(fmt::format("Profile {}{}:", i,
                            info.profiles[i].enforced ? "" : " (tuned for; any shape runs)"));
    for (const auto& [name, range] : engine.profileShapes(static_cast<int>(i)))
      output.info(fmt::format("  {}: MIN={} OPT={} MAX={}", name, shapeText(range.min),
                              shapeText(range.opt), shapeText(range.max)));
  }
}

}  // namespace carnot::cli::exec
