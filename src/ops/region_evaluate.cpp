#include <algorithm>
#include <cstring>

#include "base/error.h"
#include "ops/evaluate.h"
#include "ops/region.h"

namespace carnot {

namespace {

// What is known of each local tensor while the steps are inferred in turn.
struct Locals {
  std::vector<TensorType> types;
  std::vector<const Tensor*> constants;
  std::vector<std::optional<std::vector<Dim>>> contents;

  Locals(const Region& region, std::span<const InferContext::Input> inputs)
      : types(region.tensorCount()),
        constants(region.tensorCount()),
        contents(region.tensorCount()) {
    ensure(inputs.size() == static_cast<size_t>(region.inputCount), "a type for each input");
    for (size_t i = 0; i < inputs.size(); ++i) {
      if (inputs[i].type) types[i] = *inputs[i].type;
      constants[i] = inputs[i].constant;
      if (inputs[i].contents) contents[i] = *inputs[i].contents;
    }
  }

  void infer(const Region::Step& step) {
    std::vector<InferContext::Input> inputs;
    for (int input : step.inputs) {
      InferContext::Input view;
      if (input >= 0)
        view = {&types[input], constants[input], contents[input] ? &*contents[input] : nullptr};
      inputs.push_back(view);
    }
    InferContext context;
    context.inputs = inputs;
    context.outputs.resize(step.outputCount);
    context.freshSymbol = freshSymbol;
    try {
      step.op.definition().infer(step.op, context);
    } catch (Error& error) {
      error.within(std::string(step.op.name()));
      throw;
    }
    for (int i = 0; i < step.outputCount; ++i) {
      types[step.firstOutput + i] = std::move(context.outputs[i].type);
      contents[step.firstOutput + i] = std::move(context.outputs[i].contents);
    }
  }

  int symbols = 0;
  InferContext::FreshSymbol freshSymbol = [this](std::string_view hint, const Dim&) {
    return Dim::symbol(fmt::format("{}_{}", hint, ++symbols));
  };
};

std::vector<InferContext::Input> inputsOf(std::span<const TensorType> types,
                                          std::span<const Tensor* const> constants) {
  std::vector<InferContext::Input> inputs;
  for (size_t i = 0; i < types.size(); ++i)
    inputs.push_back({&types[i], i < constants.size() ? constants[i] : nullptr, nullptr});
  return inputs;
}

// A tensor over memory that outlives it.
Tensor borrowed(const TensorView& view) {
  return Tensor(view.dtype, {view.dims.begin(), view.dims.end()},
                Buffer::borrow(view.data, view.bytes(), nullptr));
}

// Runs a region's steps with memory for what stays inside.
class Run {
 public:
  // Outputs without memory are allocated here.
  Run(const Region& region, std::span<const TensorView> inputs, std::span<const TensorView> outputs)
      : region_(region),
        outputs_(outputs),
        types_(typesOf(inputs)),
        locals_(region, inputsOf(types_, {})),
        tensors_(region.tensorCount()) {
    for (size_t i = 0; i < inputs.size(); ++i)
      if (inputs[i].data) publish(static_cast<int>(i), borrowed(inputs[i]));
    for (const Region::Step& step : region.steps) run(step);
  }

  const Tensor& output(size_t i) const { return tensors_[region_.outputs[i]]; }

 private:
  static std::vector<TensorType> typesOf(std::span<const TensorView> inputs) {
    std::vector<TensorType> types;
    for (const TensorView& input : inputs) types.push_back({input.dtype, Shape::of(input.dims)});
    return types;
  }

  void run(const Region::Step& step) {
    locals_.infer(step);
    std::vector<TensorView> inputs, outputs;
    for (int input : step.inputs)
      inputs.push_back(input >= 0 ? tensors_[input].view() : TensorView{});
    for (int i = 0; i < step.outputCount; ++i) {
      int tensor = step.firstOutput + i;
      const TensorType& type = locals_.types[tensor];
      if (type.shape.isStatic()) tensors_[tensor] = make(tensor, type.shape.concrete());
      outputs.push_back(tensors_[tensor].empty() ? TensorView{nullptr, type.dtype, {}}
                                                 : tensors_[tensor].view());
    }
    ReferenceContext context{inputs, outputs, [&](size_t output, std::vector<int64_t> dims) {
                               int tensor = step.firstOutput + static_cast<int>(output);
                               tensors_[tensor] = make(tensor, std::move(dims));
                               return tensors_[tensor].view();
                             }};
    step.op.definition().reference(step.op, context);
    for (int i = 0; i < step.outputCount; ++i) {
      int tensor = step.firstOutput + i;
      locals_.types[tensor].shape = Shape::of(tensors_[tensor].dims());
      publish(tensor, std::move(tensors_[tensor]));
    }
  }

  // The caller's memory when the tensor leaves the region and has some, else our own.
  Tensor make(int tensor, std::vector<int64_t> dims) {
    for (size_t i = 0; i < outputs_.size(); ++i) {
      if (region_.outputs[i] != tensor || !outputs_[i].data) continue;
      ensure(std::ranges::equal(outputs_[i].dims, dims), "an output of the inferred shape");
      return borrowed(outputs_[i]);
    }
    return Tensor(locals_.types[tensor].dtype, std::move(dims));
  }

  void publish(int tensor, Tensor value) {
    tensors_[tensor] = std::move(value);
    // Steps whose shapes depend on contents see what came out of the steps before.
    if (tensors_[tensor].count() <= kMaxContents) locals_.constants[tensor] = &tensors_[tensor];
  }

  const Region& region_;
  std::span<const TensorView> outputs_;
  std::vector<TensorType> types_;
  Locals locals_;
  std::vector<Tensor> tensors_;
};

std::vector<TensorView> viewsOf(std::span<const Tensor> tensors) {
  std::vector<TensorView> views;
  for (const Tensor& tensor : tensors)
    views.push_back(tensor.empty() ? TensorView{} : tensor.view());
  return views;
}

}  // namespace

std::vector<TensorType> inferRegion(const Region& region, std::span<const TensorType> inputs,
                                    std::span<const Tensor* const> constants) {
  return inferRegion(region, inputsOf(inputs, constants));
}

std::vector<TensorType> inferRegion(const Region& region,
                                    std::span<const InferContext::Input> inputs,
                                    InferContext::FreshSymbol freshSymbol) {
  Locals locals(region, inputs);
  if (freshSymbol) locals.freshSymbol = std::move(freshSymbol);
  for (const Region::Step& step : region.steps) locals.infer(step);
  return std::move(locals.types);
}

void referenceRegion(const Region& region, const ReferenceContext& context) {
  Run run(region, context.inputs, context.outputs);
  for (size_t i = 0; i < region.outputs.size(); ++i) {
    const Tensor& tensor = run.output(i);
    void* to = context.out(i).data;
    if (!to) to = context.allocate(i, tensor.dims()).data;
    if (to != tensor.data()) std::memcpy(to, tensor.data(), tensor.bytes());
  }
}

std::vector<Tensor> evaluateOperator(const Operator& op, std::span<const Tensor> inputs,
                                     size_t outputs) {
  std::vector<Tensor> present;
  Region region;
  Region::Step step{.op = op, .inputs = {}};
  for (const Tensor& input : inputs) {
    step.inputs.push_back(input.empty() ? -1 : region.inputCount++);
    if (!input.empty()) present.push_back(input);
  }
  step.firstOutput = region.inputCount;
  step.outputCount = static_cast<int>(outputs);
  region.steps.push_back(std::move(step));
  for (size_t i = 0; i < outputs; ++i)
    region.outputs.push_back(region.inputCount + static_cast<int>(i));

  Run run(region, viewsOf(present), {});
  std::vector<Tensor> results;
  for (size_t i = 0; i < outputs; ++i) results.push_back(run.output(i));
  return results;
}

Cost costOf(const Region& region, std::span<const TensorType> types) {
  auto bytes = [&](int tensor) {
    return static_cast<double>(
        dtypeBytes(types[tensor].dtype, elementCount(types[tensor].shape.concrete())));
  };
  Cost total;
  for (const Region::Step& step : region.steps) {
    std::vector<TensorType> in, out;
    for (int input : step.inputs) in.push_back(input >= 0 ? types[input] : TensorType{});
    for (int i = 0; i < step.outputCount; ++i) out.push_back(types[step.firstOutput + i]);
    Cost cost = step.op.definition().cost(step.op, {in, out});
    total.flops += cost.flops;
    if (region.steps.size() == 1) return cost;
  }
  for (int i = 0; i < region.inputCount; ++i) total.bytes += bytes(i);
  for (int output : region.outputs) total.bytes += bytes(output);
  return total;
}

Cost costRegion(const Region& region, std::span<const TensorType> inputs,
                std::span<const Tensor* const> constants) {
  return costOf(region, inferRegion(region, inputs, constants));
}

namespace {

// Appends the steps of a region to a program, given what its local tensors are there.
struct Translation {
  ScalarBuilder builder;
  std::vector<std::optional<ScalarValue>> values;

  explicit Translation(const Region& region) : values(region.tensorCount()) {}

  void append(const Region::Step& step) {
    std::vector<ScalarValue> operands;
    for (int input : step.inputs) operands.push_back(*values[input]);
    values[step.firstOutput] = step.op.definition().expression(step.op, builder, operands);
  }
  ScalarProgram finish(std::span<const int> outputs) {
    std::vector<ScalarValue> results;
    for (int output : outputs) results.push_back(*values[output]);
    return std::move(builder).finish(results);
  }
};

}  // namespace

std::optional<PointwiseTail> pointwiseTail(const Region& region, int from,
                                           std::span<const TensorType> types) {
  std::vector<bool> depends(region.tensorCount());
  depends[from] = true;
  PointwiseTail tail;
  Translation code(region);
  code.values[from] = code.builder.input(0, types[from].dtype);
  for (const Region::Step& step : region.steps) {
    bool inTail = std::any_of(step.inputs.begin(), step.inputs.end(),
                              [&](int input) { return input >= 0 && depends[input]; });
    if (!inTail) continue;
    if (!step.isPointwise()) return std::nullopt;
    depends[step.firstOutput] = true;
    for (int input : step.inputs) {
      if (code.values[input]) continue;
      tail.operands.push_back(input);
      int number = static_cast<int>(tail.operands.size());
      code.values[input] = code.builder.input(number, types[input].dtype);
    }
    code.append(step);
  }
  std::vector<int> outputs;
  for (int output : region.outputs)
    if (depends[output]) outputs.push_back(output);
  tail.program = code.finish(outputs);
  return tail;
}

ScalarProgram pointwiseProgram(const Region& region, std::span<const TensorType> types) {
  Translation code(region);
  for (int i = 0; i < region.inputCount; ++i)
    code.values[i] = code.builder.input(i, types[i].dtype);
  for (const Region::Step& step : region.steps) {
    ensure(step.isPointwise(), "a region of pointwise steps");
    code.append(step);
  }
  return code.finish(region.outputs);
}

}  // namespace carnot
