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

}  // namespace

// A loop over the slices of its scanned inputs.
std::vector<Value*> Importer::importScan(const OnnxCall& call, Scope& outer, const Body& caller) {
  if (opsetOf(caller.opsets, call.node.domain) < 9)
    refuse("a Scan of opset 8, over a batch", "opset 9 or newer");
  const OnnxGraph& graph = graphOf(call, "body");
  int64_t scannedCount = -1;
  for (const NamedAttribute& attribute : call.attributes)
    if (attribute.name == "num_scan_inputs") scannedCount = attribute.value->integer;
  if (scannedCount < 1 || static_cast<size_t>(scannedCount) > call.inputs.size() ||
      graph.inputs.size() != call.inputs.size() ||
      std::find(call.inputs.begin(), call.inputs.end(), nullptr) != call.inputs.end())
    invalid(fmt::format("{} scanned of {} inputs", scannedCount, call.inputs.size()),
            "one or more, and an input of the body for each input");
  const auto scanned = static_cast<size_t>(scannedCount);
  const size_t states = call.inputs.size() - scanned;
  if (graph.outputs.size() < states)
    invalid(fmt::format("{} outputs of the body", graph.outputs.size()), "all states first");
  const size_t stacked = graph.outputs.size() - states;
  std::vector<int64_t> inAxes = intsOf(call.attributes, "scan_input_axes", scanned);
  const auto inBackward = intsOf(call.attributes, "scan_input_directions", scanned);
  const auto outAxes = intsOf(call.attributes, "scan_output_axes", stacked);
  const auto outBackward = intsOf(call.attributes, "scan_output_directions", stacked);

  Target& target = *outer.target;
  auto lengthOf = [&](Value* value, int64_t axis) {
    return scalarOf(
        target, call.name,
        emitOne(target, call.name, Operator::of(ShapeOf{.start = axis, .end = axis + 1}), {value}));
  };
  for (size_t i = 0; i < scanned; ++i)
    inAxes[i] =
        static_cast<int64_t>(normalizeAxis(inAxes[i], call.inputs[states + i]->type.shape.rank()));
  Value* trips = lengthOf(call.inputs[states], inAxes[0]);
  LoopBody body;
  body.import = [&](OpenBody& open, Value* iteration, Value*, const std::vector<Value*>& taken) {
    Target& inside = *open.target;
    for (size_t i = 0; i < taken.size(); ++i)
      open.scope.define(graph.inputs[i].name, {.value = taken[i]});
    for (size_t i = 0; i < scanned; ++i) {
      Value* at = iteration;
      if (inBackward[i]) {
        Value* last = emitOne(inside, call.name, Operator::of(Sub{}),
                              {inside.capture(trips),
                               inside.maker.constant(call.name, Tensor::scalar(DType::I64, 1))});
        at = emitOne(inside, call.name, Operator::of(Sub{}), {last, iteration});
      }
      Value* whole = inside.capture(call.inputs[states + i]);
      open.scope.define(
          graph.inputs[states + i].name,
          {.value = emitOne(inside, call.name, Operator::of(Gather{inAxes[i]}), {whole, at})});
    }
    std::vector<Value*> results = importBody(graph, open.scope, call.name, caller);
    results.insert(results.begin(),
                   inside.maker.constant(call.name, Tensor::scalar(DType::Bool, 1)));
    return results;
  };
  std::vector<Value*> carried(call.inputs.begin(),
                              call.inputs.begin() + static_cast<ptrdiff_t>(states));
  std::vector<Value*> results = makeLoop(call, outer, trips, nullptr, carried, body);
  for (size_t i = 0; i < stacked; ++i) {
    Value*& result = results[states + i];
    if (outBackward[i]) {
      auto bound = [&](int64_t value) {
        return target.maker.constant(call.name, Tensor::ofInts({1}, std::vector<int64_t>{value}));
      };
      result = emitOne(target, call.name, Operator::of(Slice{.axes = {0}, .steps = {-1}}),
                       {result, bound(-1), bound(std::numeric_limits<int64_t>::min())});
    }
    const size_t rank = result->type.shape.rank();
    const size_t axis = normalizeAxis(outAxes[i], rank);
    if (axis == 0) continue;
    std::vector<int64_t> perm;
    for (size_t j = 1; j < rank; ++j) perm.push_back(static_cast<int64_t>(j));
    perm.insert(perm.begin() + static_cast<ptrdiff_t>(axis), 0);
    result = emitOne(target, call.name, Operator::of(Transpose{std::move(perm)}), {result});
  }
  return results;
}

}  // namespace carnot::onnx
