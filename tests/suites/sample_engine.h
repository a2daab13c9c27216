#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "engine/engine.h"

namespace carnot::testing {

// Writes small engines by hand: declare symbols through inputs, then tensors, then steps.
class SampleEngine {
 public:
  EngineData data;

  SampleEngine() {
    data.meta = {.producer = "carnot test",
                 .modelName = "sample",
                 .device = "any",
                 .deviceKind = "cpu",
                 .isaBits = 0,
                 .threads = 1,
                 .explanation = "{}"};
  }

  // Dims in the text of Dim::parse; a lone name not seen yet becomes a symbol read off this axis.
  int32_t input(const std::string& name, const std::vector<std::string>& dims,
                DType dtype = DType::F32) {
    for (size_t axis = 0; axis < dims.size(); ++axis)
      if (Dim::parse(dims[axis]).asSymbol() && !std::ranges::count(symbols_, dims[axis])) {
        symbols_.push_back(dims[axis]);
        data.symbols.push_back(
            {dims[axis], static_cast<int32_t>(data.inputs.size()), static_cast<int32_t>(axis)});
      }
    int32_t index = add(name, EngineTensor::Kind::Input, dims, dtype);
    data.inputs.push_back(index);
    return index;
  }
  // After all inputs. A step writes a view of it.
  int32_t state(const std::string& name, const std::vector<std::string>& dims,
                DType dtype = DType::F32) {
    int32_t index = input(name, dims, dtype);
    data.tensors[index].kind = EngineTensor::Kind::State;
    return index;
  }
  int32_t output(const std::string& name, const std::vector<std::string>& dims,
                 DType dtype = DType::F32) {
    int32_t index = add(name, EngineTensor::Kind::Output, dims, dtype);
    data.outputs.push_back(index);
    return index;
  }
  int32_t activation(const std::string& name, const std::vector<std::string>& dims,
                     DType dtype = DType::F32) {
    return add(name, EngineTensor::Kind::Activation, dims, dtype);
  }
  // Of a step that finds its dims: a lone name not seen yet becomes a symbol read off them. After
  // all inputs.
  int32_t found(const std::string& name, const std::vector<std::string>& dims,
                DType dtype = DType::F32) {
    const auto index = static_cast<int32_t>(data.tensors.size());
    for (size_t axis = 0; axis < dims.size(); ++axis)
      if (Dim::parse(dims[axis]).asSymbol() && !std::ranges::count(symbols_, dims[axis])) {
        symbols_.push_back(dims[axis]);
        data.symbols.push_back({dims[axis], -1, static_cast<int32_t>(axis), index});
      }
    return add(name, EngineTensor::Kind::Found, dims, dtype);
  }
  int32_t constant(const std::string& name, Tensor value) {
    std::vector<std::string> dims;
    for (int64_t dim : value.dims()) dims.push_back(std::to_string(dim));
    int32_t index = add(name, EngineTensor::Kind::Constant, dims, value.dtype());
    data.tensors[index].weight = weight(std::move(value));
    return index;
  }
  int32_t shape(const std::string& name, const std::vector<std::string>& contents) {
    int32_t index =
        add(name, EngineTensor::Kind::Shape, {std::to_string(contents.size())}, DType::I64);
    for (const std::string& text : contents) data.tensors[index].contents.push_back(program(text));
    return index;
  }
  int32_t weight(Tensor value) {
    data.weights.push_back({value.dtype(), value.dims(), std::move(value)});
    return static_cast<int32_t>(data.weights.size()) - 1;
  }
  int32_t viewOf(int32_t tensor, int32_t base, const std::string& offset = "0") {
    data.tensors[tensor].viewOf = base;
    data.tensors[tensor].viewOffset = program(offset);
    return tensor;
  }
  EngineStep& step(const std::string& name, std::vector<int32_t> inputs,
                   std::vector<int32_t> outputs, const std::string& kernel,
                   std::vector<std::byte> parameters = {}) {
    EngineStep step;
    step.name = name;
    step.origins = {"/" + name};
    step.regionInputs = step.inputs = std::move(inputs);
    step.outputs = std::move(outputs);
    step.variants.push_back({kernel, 1, std::move(parameters), {}, {}});
    data.steps.push_back(std::move(step));
    return data.steps.back();
  }
  EngineStep& control(const std::string& name, EngineStep::Control control,
                      std::vector<int32_t> inputs, std::vector<int32_t> outputs,
                      std::vector<EngineData> bodies, int32_t carried = 0) {
    EngineStep& step = this->step(name, std::move(inputs), std::move(outputs), "");
    step.variants.clear();
    step.regionInputs.clear();
    step.control = control;
    step.carried = carried;
    for (EngineData& body : bodies) {
      step.bodies.push_back(static_cast<int32_t>(data.bodies.size()));
      data.bodies.push_back(std::move(body));
    }
    return step;
  }
  DimProgram program(const std::string& text) const {
    return DimProgram::compile(Dim::parse(text), symbols_);
  }

 private:
  int32_t add(const std::string& name, EngineTensor::Kind kind,
              const std::vector<std::string>& dims, DType dtype) {
    EngineTensor tensor;
    tensor.name = name;
    tensor.kind = kind;
    tensor.dtype = dtype;
    for (const std::string& dim : dims) tensor.dims.push_back(program(dim));
    data.tensors.push_back(std::move(tensor));
    return static_cast<int32_t>(data.tensors.size()) - 1;
  }

  std::vector<std::string> symbols_;
};

}  // namespace carnot::testing
