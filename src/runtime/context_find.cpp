// Steps that find their outputs' dims as they run.

#include <algorithm>

#include "base/error.h"
#include "base/shape.h"
#include "runtime/engine_context.h"

namespace carnot {

void* EngineContext::placeFound(const EngineStep& step, size_t output,
                                std::span<const int64_t> dims) {
  const int32_t index = step.outputs.at(output);
  const EngineTensor& tensor = engine_.tensors[index];
  Found& found = found_[index];
  if (dims.size() != tensor.dims.size())
    throw Error(ErrorCode::InvalidArgument,
                fmt::format("shape {} for {}", shapeText(dims), tensor.name),
                declaredShape(tensor, state_.symbolNames));
  const size_t bytes = dtypeBytes(tensor.dtype, elementCount(dims));
  if (bytes > mostTensorBytes(*state_.device))
    throw Error(
        ErrorCode::OutOfMemory, fmt::format("tensor {} of {} bytes", tensor.name, bytes),
        fmt::format("at most {}, the memory that there is", mostTensorBytes(*state_.device)),
        "give smaller inputs");
  found.dims.assign(dims.begin(), dims.end());
  found.given = true;
  void* data = found.memory.atLeast(*state_.device, bytes);
  version_ += data != pointers_[index];
  return pointers_[index] = data;
}

void EngineContext::find(size_t index, const ShapePlan& plan) {
  const EngineStep& step = engine_.steps[index];
  for (int32_t output : step.outputs) found_[output].given = false;
  RunArguments::Allocate allocate = [&](size_t output, std::span<const int64_t> dims) {
    return placeFound(step, output, dims);
  };
  try {
    RunArguments arguments = argumentsOfStep(index, plan);
    arguments.allocate = &allocate;
    if (step.control == EngineStep::Control::None) {
      plan.executables[index]->run(arguments);
    } else {
      std::vector<ControlStep::Input>& inputs = controlInputs_;
      inputs.clear();
      for (size_t i = 0; i < step.inputs.size(); ++i)
        inputs.push_back(
            {const_cast<void*>(arguments.inputs[i]),
             step.inputs[i] < 0 ? std::span<const int64_t>() : plan.dimsOf(step.inputs[i])});
      if (!controls_[index])
        controls_[index] = std::make_unique<ControlStep>(state_, step, *stream_);
      controls_[index]->run(inputs, allocate);
    }
    learn(step);
  } catch (Error& error) {
    error.within("step " + step.name);
    throw;
  }
}

void EngineContext::learn(const EngineStep& step) {
  while (symbolValues_.size() < engine_.symbols.size()) {
    const EngineSymbol& symbol = engine_.symbols[symbolValues_.size()];
    if (!std::ranges::count(step.outputs, symbol.tensor)) break;
    const Found& found = found_[symbol.tensor];
    symbolValues_.push_back(found.given ? found.dims[symbol.axis] : 0);
  }
  for (int32_t output : step.outputs) {
    const EngineTensor& tensor = engine_.tensors[output];
    const Found& found = found_[output];
    for (size_t axis = 0; axis < tensor.dims.size(); ++axis)
      if (!found.given || tensor.dims[axis].evaluate(symbolValues_) != found.dims[axis])
        throw Error(ErrorCode::InvalidArgument,
                    fmt::format("{} for {}", found.given ? shapeText(found.dims) : "no memory",
                                tensor.name),
                    fmt::format("a shape of {}", declaredShape(tensor, state_.symbolNames)),
                    "give inputs of other data");
  }
}

}  // namespace carnot
