#include "suites/support/evaluate_graph.h"

#include <cmath>
#include <limits>
#include <random>
#include <unordered_map>

#include "base/error.h"
#include "ops/evaluate.h"
#include "ops/region.h"
#include "ops/symbolic.h"

namespace carnot::test {

std::map<std::string, int64_t> symbolValues(const Graph& graph) {
  std::map<std::string, int64_t> values;
  std::vector<std::string> names;
  for (const Value* input : graph.inputs)
    for (const Dim& dim : input->type.shape) dim.collectSymbols(names);
  for (const std::string& name : names)
    values.emplace(name, static_cast<int64_t>(values.size()) + 2);
  return values;
}

std::vector<Tensor> randomInputs(const Graph& graph,
                                 const std::map<std::string, int64_t>& symbols) {
  std::mt19937 random(7);
  std::vector<Tensor> inputs;
  for (const Value* input : graph.inputs) {
    Tensor tensor(input->type.dtype, input->type.shape.evaluate([&](const std::string& name) {
      return symbols.at(name);
    }));
    for (int64_t i = 0; i < tensor.count(); ++i) {
      if (isFloat(tensor.dtype()))
        tensor.view().storeDouble(i, static_cast<double>(random() % 4096) / 1024.0 - 2.0);
      else
        tensor.view().storeInt(
            i, static_cast<int64_t>(random() % (tensor.dtype() == DType::Bool ? 2 : 3)));
    }
    inputs.push_back(std::move(tensor));
  }
  return inputs;
}

namespace {

std::vector<Tensor> evaluateNode(const Node& node, std::span<const Tensor> inputs,
                                 const std::map<std::string, int64_t>& symbols) {
  auto lookup = [&](const std::string& name) { return symbols.at(name); };
  if (const auto* symbolic = node.as<Symbolic>()) {
    Tensor tensor(symbolic->dtype, symbolic->dims);
    for (int64_t i = 0; i < tensor.count(); ++i)
      tensor.view().storeInt(i, symbolic->values[static_cast<size_t>(i)].evaluate(lookup));
    return {tensor};
  }
  if (!node.region) {
    // Attributes hold shapes too: they become numbers first.
    FieldMap fields = node.op.fields();
    for (auto& [name, field] : fields)
      if (auto* shape = std::get_if<Shape>(&field)) *shape = Shape::of(shape->evaluate(lookup));
    return evaluateOperator(node.op.definition().make(fields), inputs, node.outputs.size());
  }
  Region region = *node.region;
  for (Region::Step& step : region.steps) {
    FieldMap fields = step.op.fields();
    for (auto& [name, field] : fields)
      if (auto* shape = std::get_if<Shape>(&field)) *shape = Shape::of(shape->evaluate(lookup));
    step.op = step.op.definition().make(fields);
  }
  std::vector<TensorView> views, outputs;
  for (const Tensor& input : inputs) views.push_back(input.empty() ? TensorView{} : input.view());
  std::vector<Tensor> results(node.outputs.size());
  for (const Value* output : node.outputs) outputs.push_back({nullptr, output->type.dtype, {}});
  referenceRegion(region, {views, outputs, [&](size_t output, std::vector<int64_t> dims) {
                             results[output] = Tensor(outputs[output].dtype, std::move(dims));
                             return results[output].view();
                           }});
  return results;
}

}  // namespace

std::vector<Tensor> evaluateGraph(const Graph& graph, std::span<const Tensor> inputs,
                                  const std::map<std::string, int64_t>& symbols) {
  std::unordered_map<const Value*, Tensor> known;
  for (size_t i = 0; i < inputs.size(); ++i) known[graph.inputs[i]] = inputs[i];
  for (const StateOperand& state : graph.states) {
    Tensor tensor(state.before->type.dtype, state.before->type.shape.concrete());
    for (int64_t i = 0; i < tensor.count(); ++i)
      tensor.view().storeDouble(i, static_cast<double>(i % 17) / 16 - 0.5);
    known[state.before] = std::move(tensor);
  }
  auto tensorOf = [&](const Value* value) {
    if (!value) return Tensor();
    return value->isConstant() ? *value->constant : known.at(value);
  };
  for (const auto& node : graph.nodes()) {
    std::vector<Tensor> operands;
    operands.reserve(node->inputs.size());
    for (const Value* input : node->inputs) operands.push_back(tensorOf(input));
    try {
      std::vector<Tensor> results = evaluateNode(*node, operands, symbols);
      for (size_t i = 0; i < results.size(); ++i) known[node->outputs[i]] = std::move(results[i]);
    } catch (Error& error) {
      error.within("node " + node->name);
      throw;
    }
  }
  std::vector<Tensor> outputs;
  for (const Value* output : graph.outputs) outputs.push_back(tensorOf(output));
  for (const StateOperand& state : graph.states) outputs.push_back(tensorOf(state.after));
  return outputs;
}

double relativeError(const Tensor& has, const Tensor& wanted) {
  constexpr double kDifferent = std::numeric_limits<double>::infinity();
  if (has.dtype() != wanted.dtype() || has.dims() != wanted.dims()) return kDifferent;
  if (!isFloat(wanted.dtype())) return has.sameBytes(wanted) ? 0 : kDifferent;
  double difference = 0, norm = 0;
  for (int64_t i = 0; i < wanted.count(); ++i) {
    const double a = has.view().loadDouble(i), b = wanted.view().loadDouble(i);
    if (!std::isfinite(b) || !std::isfinite(a)) {
      if (a != b && !(std::isnan(a) && std::isnan(b))) return kDifferent;
      continue;
    }
    difference += (a - b) * (a - b);
    norm += b * b;
  }
  return norm > 0 ? std::sqrt(difference / norm) : std::sqrt(difference);
}

}  // namespace carnot::test
