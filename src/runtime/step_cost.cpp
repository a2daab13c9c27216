#include <algorithm>

#include "base/error.h"
#include "ops/region.h"
#include "runtime/loaded_engine.h"
#include "runtime/shape_plan.h"

namespace carnot {
namespace {

using Kind = EngineTensor::Kind;

// A region's input as its operators see it.
struct RegionInput {
  TensorType type;
  const Tensor* contents = nullptr;
};

RegionInput inputOf(const LoadedEngine::State& state, const ShapePlan& plan, int32_t index) {
  if (index < 0) return {};
  const EngineTensor& tensor = state.engine->tensors[index];
  RegionInput input{{tensor.dtype, Shape::of(plan.dimsOf(index))}};
  if (tensor.kind == Kind::Constant && tensor.layout.isPlain())
    input.contents = &state.engine->weights[tensor.weight].data;
  else if (tensor.kind == Kind::Shape)
    input.contents = &plan.hostContents[index];
  return input;
}

double bytesOf(const ShapePlan& plan, const std::vector<int32_t>& tensors) {
  double bytes = 0;
  for (int32_t tensor : tensors)
    if (tensor >= 0) bytes += static_cast<double>(plan.bytes[tensor]);
  return bytes;
}

}  // namespace

StepCost costOfStep(const LoadedEngine::State& state, const ShapePlan& plan, size_t index) {
  const EngineStep& step = state.engine->steps[index];
  StepCost moved{0, bytesOf(plan, step.regionInputs) + bytesOf(plan, step.outputs)};
  if (step.region.empty()) return moved;
  try {
    std::map<std::string, Dim> symbols;
    for (size_t i = 0; i < plan.symbolValues.size(); ++i)
      symbols.emplace(state.symbolNames[i], plan.symbolValues[i]);
    Region region = Region::parse(step.region).substitute(symbols);
    std::vector<TensorType> types;
    std::vector<const Tensor*> contents;
    for (int32_t tensor : step.regionInputs) {
      RegionInput input = inputOf(state, plan, tensor);
      types.push_back(std::move(input.type));
      contents.push_back(input.contents);
    }
    if (types.size() != static_cast<size_t>(region.inputCount)) return moved;
    Cost cost = costRegion(region, types, contents);
    return {cost.flops, cost.bytes};
  } catch (const Error&) {
    return moved;  // shapes that depend on data: what moves is known all the same
  }
}

}  // namespace carnot
