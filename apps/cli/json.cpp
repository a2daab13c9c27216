#include "cli/json.h"

#include <carnot/error.h>
#include <fmt/format.h>

#include <nlohmann/json.hpp>

namespace carnot::cli {

namespace {

using nlohmann::ordered_json;

std::string textOf(const ordered_json& json) {
  // Names that are no UTF-8 must not stop a report.
  return json.dump(2, ' ', false, ordered_json::error_handler_t::replace) + "\n";
}

ordered_json layerJson(const LayerReport& layer) {
  return {{"name", layer.name},
          {"operators", layer.operators},
          {"kernel", layer.kernel},
          {"precision", layer.precision},
          {"origins", layer.origins},
          {"milliseconds", layer.milliseconds},
          {"share", layer.share},
          {"flops", layer.flops},
          {"bytes", layer.bytes},
          {"intensity", layer.intensity},
          {"bound", layer.computeBound ? "compute" : "memory"}};
}

ordered_json tensorsJson(const std::vector<TensorInfo>& tensors) {
  ordered_json json = ordered_json::array();
  for (const TensorInfo& tensor : tensors)
    json.push_back({{"name", tensor.name},
                    {"dtype", std::string(dtypeName(tensor.dtype))},
                    {"dims", tensor.dims}});
  return json;
}

ordered_json recordOf(const Engine& engine) {
  ordered_json record = ordered_json::parse(engine.explain(), nullptr, false);
  if (!record.is_object() || !record.contains("steps"))
    throw Error(ErrorCode::Unsupported, "an engine without a record of the builder's choices",
                "one that this version built", "build it again");
  return record;
}

Explanation::Step parseStep(const ordered_json& json) {
  Explanation::Step step;
  step.name = json.at("name");
  step.operators = json.at("operators");
  step.precision = json.value("precision", "");
  if (json.value("tf32", false)) step.precision += " (TF32 allowed)";
  if (json.value("bf16", false)) step.precision += " (bfloat16 allowed)";
  if (json.contains("without_tf32"))
    step.precision += fmt::format(" (no TF32: {})", json.value("without_tf32", ""));
  auto texts = [&](const char* key) { return json.value(key, std::vector<std::string>()); };
  step.origins = texts("origins");
  step.inputs = texts("inputs");
  step.outputs = texts("outputs");
  step.chosen = json.value("chosen", std::vector<size_t>());
  for (const ordered_json& entry : json.value("candidates", ordered_json::array())) {
    auto& candidate = step.candidates.emplace_back();
    candidate.kernel = entry.at("kernel");
    candidate.configuration = entry.at("configuration");
    for (const ordered_json& time : entry.at("times"))
      candidate.times.push_back({time.at("microseconds"), time.at("measured")});
  }
  for (const ordered_json& entry : json.value("refusals", ordered_json::array()))
    step.refusals.push_back({entry.at("kernel"), entry.at("reason")});
  return step;
}

}  // namespace

std::string benchJson(const std::string& path, const EngineInfo& info, const BenchReport& report) {
  ordered_json percentiles = ordered_json::array();
  for (const Percentile& percentile : report.percentiles)
    percentiles.push_back(
        {{"percent", percentile.percent}, {"milliseconds", percentile.milliseconds}});
  ordered_json layers = ordered_json::array();
  for (const LayerReport& layer : report.layers) layers.push_back(layerJson(layer));
  ordered_json json = {
      {"carnot", version()},
      {"file", path},
      {"device", info.device},
      {"isa", info.isa},
      {"threads", report.threads},
      {"inputShapes", report.inputShapes},
      {"outputShapes", report.outputShapes},
      {"iterations", report.iterations},
      {"throughput", report.throughput},
      {"latency",
       {{"unit", "milliseconds"},
        {"minimum", report.minimum},
        {"mean", report.mean},
        {"median", report.median},
        {"h2d", report.copyIn.median},
        {"gpuComputeMinimum", report.compute.minimum},
        {"gpuCompute", report.compute.median},
        {"d2h", report.copyOut.median},
        {"maximum", report.maximum},
        {"percentiles", percentiles}}},
      {"memory",
       {{"weightBytes", report.weightBytes},
        {"arenaBytes", report.memory.arenaBytes},
        {"lowerBoundBytes", report.memory.lowerBoundBytes}}},
      {"machine", {{"flopsPerSecond", report.peakFlops}, {"bytesPerSecond", report.peakBytes}}},
      {"layers", layers}};
  return textOf(json);
}

std::string inspectJson(const std::string& path, const Engine& engine) {
  EngineInfo info = engine.info();
  ordered_json profiles = ordered_json::array();
  for (const EngineInfo::Profile& profile : info.profiles) {
    ordered_json symbols = ordered_json::object();
    for (const EngineInfo::Range& range : profile.ranges)
      symbols[range.symbol] = {{"min", range.min}, {"opt", range.opt}, {"max", range.max}};
    profiles.push_back({{"enforced", profile.enforced}, {"symbols", symbols}});
  }
  return textOf({{"file", path},
                 {"producer", info.producer},
                 {"model", info.modelName},
                 {"device", info.device},
                 {"deviceKind", info.deviceKind},
                 {"isa", info.isa},
                 {"tunedThreads", info.tunedThreads},
                 {"threads", info.threads},
                 {"layers", info.layers},
                 {"weightBytes", info.weightBytes},
                 {"inputs", tensorsJson(engine.inputs())},
                 {"outputs", tensorsJson(engine.outputs())},
                 {"states", tensorsJson(engine.states())},
                 {"profiles", profiles}});
}

std::string explainJson(const Engine& engine, const Explanation& kept) {
  ordered_json record = recordOf(engine);
  ordered_json steps = ordered_json::array();
  for (const Explanation::Step& step : kept.steps) steps.push_back(record["steps"][step.index]);
  record["steps"] = std::move(steps);
  return textOf(record);
}

Explanation explanationOf(const Engine& engine) {
  ordered_json record = recordOf(engine);
  Explanation explanation;
  try {
    explanation.device = record.value("device", "");
    for (const ordered_json& point : record.value("points", ordered_json::array())) {
      std::string text;
      for (const auto& [symbol, value] : point.items())
        text += fmt::format("{}{}={}", text.empty() ? "" : ", ", symbol, value.get<int64_t>());
      explanation.points.push_back(text.empty() ? "fixed shapes" : text);
    }
    for (const ordered_json& json : record["steps"]) {
      size_t index = explanation.steps.size();
      explanation.steps.push_back(parseStep(json));
      explanation.steps.back().index = index;
    }
  } catch (const ordered_json::exception& error) {
    throw Error(
        ErrorCode::InvalidModel,
        fmt::format("a record of the builder's choices that cannot be read: {}", error.what()), {},
        "build the engine again");
  }
  return explanation;
}

}  // namespace carnot::cli
