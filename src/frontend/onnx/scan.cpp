#include <algorithm>
#include <limits>

#include "frontend/onnx/emit.h"
#include "frontend/onnx/importer.h"
#include "ops/gather.h"
#include "ops/pointwise_binary.h"
#include "ops/shape_of.h"
#include "ops/slice.h"
#include "ops/transpose.h"

namespace carnot::onnx {

namespace {

std::vector<int64_t> intsOf(const std::vector<NamedAttribute>& attributes, std::string_view name,
                            size_t count) {
  std::vector<int64_t> values;
  for (const NamedAttribute& attribute : attributes)
    if (attribute.name == name) values = attribute.value->integers;
  if (values.empty()) values.assign(count, 0);
  if (values.size() != count)
    invalid(fmt::format("{} {}", values.size(), name), fmt::format("{}", count));
  return values;
}

struct ScanPlan {
  size_t scanned = 0, states = 0, stacked = 0;
  std::vector<int64_t> inAxes, inBackward, outAxes, outBackward;
};

ScanPlan planOf(const OnnxCall& call, const OnnxGraph& graph, size_t inputs, bool overBatch) {
  int64_t scanned = -1;
  for (const NamedAttribute& attribute : call.attributes)
    if (attribute.name == "num_scan_inputs") scanned = attribute.value->integer;
  if (scanned < 1 || static_cast<size_t>(scanned) > inputs || graph.inputs.size() != inputs)
    invalid(fmt::format("{} scanned of {} inputs", scanned, inputs),
            "one or more, and an input of the body for each input");
  ScanPlan plan;
  plan.scanned = static_cast<size_t>(scanned);
  plan.states = inputs - plan.scanned;
  if (graph.outputs.size() < plan.states)
    invalid(fmt::format("{} outputs of the body", graph.outputs.size()), "all states first");
  plan.stacked = graph.outputs.size() - plan.states;
  plan.inAxes = intsOf(call.attributes, "scan_input_axes", plan.scanned);
  plan.inBackward =
      intsOf(call.attributes, overBatch ? "directions" : "scan_input_directions", plan.scanned);
  plan.outAxes = intsOf(call.attributes, "scan_output_axes", plan.stacked);
  plan.outBackward = intsOf(call.attributes, "scan_output_directions", plan.stacked);
  return plan;
}

Value* lengthOf(Target& target, const std::string& name, Value* value, int64_t axis) {
  return scalarOf(
      target, name,
      emitOne(target, name, Operator::of(ShapeOf{.start = axis, .end = axis + 1}), {value}));
}

// The stacked tensor with its first axis turned round, or moved, as the node says.
Value* placed(Target& target, const std::string& name, Value* stacked, int64_t toAxis,
              bool backward) {
  if (backward) {
    auto bound = [&](int64_t value) {
      return target.maker.constant(name, Tensor::ofInts({1}, std::vector<int64_t>{value}));
    };
    stacked = emitOne(target, name, Operator::of(Slice{.axes = {0}, .steps = {-1}}),
                      {stacked, bound(-1), bound(std::numeric_limits<int64_t>::min())});
  }
  const size_t rank = stacked->type.shape.rank();
  const size_t axis = normalizeAxis(toAxis, rank);
  if (axis == 0) return stacked;
  std::vector<int64_t> perm;
  for (size_t j = 1; j < rank; ++j) perm.push_back(static_cast<int64_t>(j));
  perm.insert(perm.begin() + static_cast<ptrdiff_t>(axis), 0);
  return emitOne(target, name, Operator::of(Transpose{std::move(perm)}), {stacked});
}

}  // namespace

// A loop over the slices of its scanned inputs. Of opset 8, within a loop over the batch.
std::vector<Item> Importer::importScan(const OnnxCall& call, Scope& outer, const Body& caller) {
  const bool overBatch = opsetOf(caller.opsets, call.node.domain) < 9;
  if (overBatch && !call.inputs.empty() && call.inputs[0])
    refuse("a Scan of opset 8 with lengths of its sequences", "sequences of one length",
           "export for opset 9 or newer");
  std::vector<Value*> inputs;
  for (size_t i = overBatch ? 1 : 0; i < call.inputs.size(); ++i) {
    inputs.push_back(requireTensor(call.inputs[i], fmt::format("input {}", i)));
    if (!inputs.back()) invalid(fmt::format("input {} left out", i), "every input");
  }
  planOf(call, graphOf(call, "body"), inputs.size(), overBatch);
  if (!overBatch) return scanSlices(call, inputs, false, outer, caller);

  LoopBody each;
  each.import = [&](OpenBody& open, Value* iteration, Value*, const std::vector<Item>&) {
    Target& inside = *open.target;
    std::vector<Value*> slices;
    for (Value* input : inputs)
      slices.push_back(
          emitOne(inside, call.name, Operator::of(Gather{0}), {inside.capture(input), iteration}));
    std::vector<Item> results = scanSlices(call, slices, true, open.scope, caller);
    results.insert(results.begin(),
                   Item::of(inside.maker.constant(call.name, Tensor::scalar(DType::Bool, 1))));
    return results;
  };
  for (Value* input : inputs)
    if (input->type.shape.rank() == 0) invalid("an input without a batch", "a first axis");
  Value* batch = lengthOf(*outer.target, call.name, inputs[0], 0);
  return makeLoop(call, outer, batch, nullptr, {}, each);
}

std::vector<Item> Importer::scanSlices(const OnnxCall& call, const std::vector<Value*>& inputs,
                                       bool overBatch, Scope& outer, const Body& caller) {
  const OnnxGraph& graph = graphOf(call, "body");
  ScanPlan plan = planOf(call, graph, inputs.size(), overBatch);
  for (size_t i = 0; i < plan.scanned; ++i)
    plan.inAxes[i] = static_cast<int64_t>(
        normalizeAxis(plan.inAxes[i], inputs[plan.states + i]->type.shape.rank()));
  Target& target = *outer.target;
  Value* trips = lengthOf(target, call.name, inputs[plan.states], plan.inAxes[0]);
  LoopBody body;
  body.import = [&](OpenBody& open, Value* iteration, Value*, const std::vector<Item>& taken) {
    Target& inside = *open.target;
    for (size_t i = 0; i < taken.size(); ++i)
      open.scope.define(graph.inputs[i].name, {.item = taken[i]});
    for (size_t i = 0; i < plan.scanned; ++i) {
      Value* at = iteration;
      if (plan.inBackward[i]) {
        Value* last = emitOne(inside, call.name, Operator::of(Sub{}),
                              {inside.capture(trips),
                               inside.maker.constant(call.name, Tensor::scalar(DType::I64, 1))});
        at = emitOne(inside, call.name, Operator::of(Sub{}), {last, iteration});
      }
      Value* slice = emitOne(inside, call.name, Operator::of(Gather{plan.inAxes[i]}),
                             {inside.capture(inputs[plan.states + i]), at});
      open.scope.define(graph.inputs[plan.states + i].name, {.item = Item::of(slice)});
    }
    std::vector<Item> results = importBody(graph, open.scope, call.name, caller);
    results.insert(results.begin(),
                   Item::of(inside.maker.constant(call.name, Tensor::scalar(DType::Bool, 1))));
    return results;
  };
  std::vector<Item> carried;
  for (size_t i = 0; i < plan.states; ++i) carried.push_back(Item::of(inputs[i]));
  std::vector<Item> results = makeLoop(call, outer, trips, nullptr, std::move(carried), body);
  for (size_t i = 0; i < plan.stacked; ++i) {
    Value*& stacked = results[plan.states + i].tensor;
    stacked = placed(target, call.name, stacked, plan.outAxes[i], plan.outBackward[i] != 0);
  }
  return results;
}

}  // namespace carnot::onnx
