#include "ops/onnx_pad.h"

#include <numeric>

#include "base/error.h"
#include "ops/cast.h"
#include "ops/concat.h"
#include "ops/gather.h"
#include "ops/onnx_axes.h"
#include "ops/pad.h"

namespace carnot {

namespace {

PadMode modeOf(const OnnxNode& node) {
  const std::string mode = node.attributeString("mode", "constant");
  if (mode == "constant") return PadMode::Constant;
  if (mode == "reflect") return PadMode::Reflect;
  if (mode == "edge") return PadMode::Edge;
  if (mode == "wrap") return PadMode::Wrap;
  throw Error(ErrorCode::InvalidModel, fmt::format("mode \"{}\"", mode),
              "constant, reflect, edge or wrap");
}

// Pads of some axes as pads of every axis: 0 for the others.
OnnxNode::Ref spreadPads(OnnxNode& node, OnnxNode::Ref pads, const std::vector<int64_t>& axes,
                         size_t rank) {
  const auto zero = static_cast<int64_t>(2 * axes.size());
  std::vector<int64_t> indices(2 * rank, zero);
  for (size_t i = 0; i < axes.size(); ++i) {
    const auto axis = static_cast<size_t>(axes[i]);
    indices[axis] = static_cast<int64_t>(i);
    indices[rank + axis] = static_cast<int64_t>(axes.size() + i);
  }
  if (const Tensor* constant = node.constantOf(pads)) {
    std::vector<int64_t> values = constant->toInts();
    if (values.size() != 2 * axes.size())
      throw Error(ErrorCode::InvalidModel, fmt::format("{} pads", values.size()),
                  fmt::format("two for each of {} axes", axes.size()));
    values.push_back(0);
    for (int64_t& index : indices) index = values[static_cast<size_t>(index)];
    return emitInts(node, indices);
  }
  const OnnxNode::Ref extended =
      node.emit(Operator::of(Concat{.axis = 0}), {pads, emitInts(node, {0})});
  return node.emit(Operator::of(Gather{.axis = 0}), {extended, emitInts(node, indices)});
}

}  // namespace

void importPad(OnnxNode& node) {
  const OnnxNode::Ref x = node.requireInput(0);
  const size_t rank = node.rankOf(x);
  std::vector<OnnxNode::Ref> inputs = {x};
  if (node.opset() < 11) {
    inputs.push_back(emitInts(node, node.attributeInts(node.opset() < 2 ? "paddings" : "pads")));
    if (const double value = node.attributeFloat("value", 0); value != 0)
      inputs.push_back(scalarLike(node, x, value));
  } else {
    OnnxNode::Ref pads = node.requireInput(1);
    if (node.dtypeOf(pads) != DType::I64)
      pads = node.emit(Operator::of(Cast{.to = DType::I64}), {pads});
    if (node.rankOf(pads) == 2)  // allowed by opset 11's [1, 2 * rank]
      pads = emitReshape(node, pads, {node.shapeOf(pads).elementCount()});
    if (auto axes = importAxes(node, 3, "axes", rank)) pads = spreadPads(node, pads, *axes, rank);
    inputs.push_back(pads);
    if (node.hasInput(2)) inputs.push_back(emitReshape(node, node.input(2), {}));
  }
  node.setOutput(0, node.emit(Operator::of(Pad{modeOf(node)}), inputs));
}

}  // namespace carnot
