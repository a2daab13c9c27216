#include <carnot/report.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "runtime/api.h"
#include "runtime/step_names.h"

namespace carnot {

namespace {

using nlohmann::ordered_json;

// Numbers as they are, symbols as -1.
ordered_json dimensions(const EngineTensor& tensor) {
  ordered_json dims = ordered_json::array();
  for (const DimProgram& dim : tensor.dims) dims.push_back(dim.constant().value_or(-1));
  return dims;
}

ordered_json tensorJson(const EngineTensor& tensor) {
  return {{"Name", tensor.name},
          {"Location", "Host"},
          {"Dimensions", dimensions(tensor)},
          {"Format/Datatype",
           fmt::format("{} {}", layoutName(tensor.layout), dtypeName(tensor.dtype))}};
}

std::string joined(const std::vector<std::string>& names) {
  return fmt::format("{}", fmt::join(names, "\x1E"));  // as upstream separates ONNX layers
}

ordered_json layerJson(const EngineData& data, const EngineStep& step, bool detailed) {
  if (!detailed) return step.name;
  ordered_json layer;
  const std::string label = operatorsOf(step);
  layer["Name"] = step.name;
  layer["LayerType"] = label.substr(0, label.find('+'));
  for (const char* side : {"Inputs", "Outputs"}) {
    layer[side] = ordered_json::array();
    for (int32_t tensor : side[0] == 'I' ? step.inputs : step.outputs)
      if (tensor >= 0) layer[side].push_back(tensorJson(data.tensors[tensor]));
  }
  layer["ParameterType"] = label;
  layer["Precision"] = dtypeName(step.precision);
  layer["TacticName"] = kernelOf(step);
  const uint32_t revision = step.variants.empty() ? 0 : step.variants.front().revision;
  layer["TacticValue"] = fmt::format("0x{:08x}", revision);
  ordered_json others = ordered_json::array();
  for (size_t i = 1; i < step.variants.size(); ++i) others.push_back(step.variants[i].kernel);
  if (!others.empty()) layer["TacticsAtOtherShapes"] = std::move(others);
  layer["StreamId"] = 0;
  layer["Metadata"] = "[ONNX Layer: " + joined(step.origins) + "]";
  return layer;
}

}  // namespace

std::string layerInformation(const Engine& engine, bool detailed) {
  const EngineData& data = engine.state().loaded->engine();
  ordered_json root;
  root["Layers"] = ordered_json::array();
  for (const EngineStep& step : data.steps)
    root["Layers"].push_back(layerJson(data, step, detailed));
  root["Bindings"] = ordered_json::array();
  for (const auto* side : {&engine.inputs(), &engine.outputs()})
    for (const TensorInfo& info : *side) root["Bindings"].push_back(info.name);
  return root.dump(1);
}

std::string layerInformation(const Engine& engine, size_t layer, bool detailed) {
  const EngineData& data = engine.state().loaded->engine();
  if (layer >= data.steps.size())
    throw Error(ErrorCode::InvalidArgument, fmt::format("layer {}", layer),
                fmt::format("one of the engine's {}", data.steps.size()));
  return layerJson(data, data.steps[layer], detailed).dump(1);
}

}  // namespace carnot
