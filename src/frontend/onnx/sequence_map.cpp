#include <algorithm>

#include "frontend/onnx/emit.h"
#include "frontend/onnx/importer.h"
#include "frontend/onnx/proto.h"
#include "frontend/onnx/tensors.h"

namespace carnot::onnx {

namespace {

constexpr size_t kMostCopies = 64;  // of a body that is written out for each tensor

}  // namespace

// Over sequences of known length the body is written out for each tensor; over others it becomes a
// loop that carries the results.
std::vector<Item> Importer::importSequenceMap(const OnnxCall& call, Scope& outer,
                                              const Body& caller) {
  const OnnxGraph& graph = graphOf(call, "body");
  Target& target = *outer.target;
  if (graph.inputs.size() != call.inputs.size())
    invalid(fmt::format("{} inputs and {} of the body", call.inputs.size(), graph.inputs.size()),
            "as many of each");
  std::vector<Item> inputs{requireSequence(call, 0)};
  bool known = !inputs[0].isPacked && inputs[0].parts.size() <= kMostCopies;
  for (size_t i = 1; i < call.inputs.size(); ++i) {
    const bool isTensor = call.inputs[i].isTensor();
    inputs.push_back(isTensor ? call.inputs[i] : requireSequence(call, i));
    if (!inputs[i]) invalid(fmt::format("input {} left out", i), "every input");
    known = known &&
            (isTensor || (!inputs[i].isPacked && inputs[i].parts.size() == inputs[0].parts.size()));
  }
  std::vector<Item> results;
  for (const OnnxValueInfo& output : graph.outputs)
    inFrame([&] { return fmt::format("output {} of the body", output.name); },
            [&] { results.push_back(Item::sequence(onnxDType(output.type.elementType), {})); });

  if (known) {
    for (size_t at = 0; at < inputs[0].parts.size(); ++at) {
      std::vector<Item> taken;
      for (const Item& input : inputs)
        taken.push_back(input.isTensor() ? input : Item::of(input.parts[at]));
      const std::vector<Item> made =
          inlineGraph(graph, taken, fmt::format("{}/{}", call.name, at), outer, caller);
      for (size_t i = 0; i < results.size(); ++i)
        results[i] = sequenceInsert(results[i], requireTensor(made[i], "an output of the body"),
                                    nullptr, target, call.name);
    }
    return results;
  }

  for (Item& input : inputs)
    if (!input.isTensor()) input = packed(input, target, call.name);
  LoopBody body;
  body.import = [&](OpenBody& open, Value* iteration, Value*, const std::vector<Item>& carried) {
    Target& inside = *open.target;
    for (size_t i = 0; i < inputs.size(); ++i) {
      const Item input = rebuilt(inputs[i], [&](Value* value) { return inside.capture(value); });
      open.scope.define(
          graph.inputs[i].name,
          {.item = input.isTensor() ? input
                                    : Item::of(sequenceAt(input, iteration, inside, call.name))});
    }
    const std::vector<Item> made = importBody(graph, open.scope, call.name, caller);
    std::vector<Item> next{
        Item::of(inside.maker.constant(call.name, Tensor::scalar(DType::Bool, 1)))};
    for (size_t i = 0; i < made.size(); ++i)
      next.push_back(sequenceInsert(carried[i], requireTensor(made[i], "an output of the body"),
                                    nullptr, inside, call.name));
    return next;
  };
  return makeLoop(call, outer, sequenceLength(inputs[0], target, call.name), nullptr,
                  std::move(results), body);
}

}  // namespace carnot::onnx
