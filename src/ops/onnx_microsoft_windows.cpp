#include <limits>

#include "base/error.h"
#include "ops/onnx_axes.h"
#include "ops/onnx_microsoft.h"
#include "ops/onnx_nested.h"
#include "ops/pointwise_binary.h"

namespace carnot {

namespace {

using Ref = OnnxNode::Ref;

// Of channels that come last; the weights are as ONNX has them.
Ref emitNhwcConv(OnnxNode& node) {
  const Ref x = channelsFirst(node, node.requireInput(0));
  return importNested(node, "Conv", 22, {x, node.requireInput(1), node.input(2)})[0];
}

}  // namespace

OnnxNode::Ref channelsFirst(OnnxNode& node, OnnxNode::Ref x) {
  const auto rank = static_cast<int64_t>(node.rankOf(x));
  std::vector<int64_t> perm = {0, rank - 1};
  for (int64_t i = 1; i + 1 < rank; ++i) perm.push_back(i);
  return emitTranspose(node, x, perm);
}

OnnxNode::Ref channelsLast(OnnxNode& node, OnnxNode::Ref x) {
  const auto rank = static_cast<int64_t>(node.rankOf(x));
  std::vector<int64_t> perm = {0};
  for (int64_t i = 2; i < rank; ++i) perm.push_back(i);
  perm.push_back(1);
  return emitTranspose(node, x, perm);
}

OnnxNode::Ref emitActivation(OnnxNode& node, OnnxNode::Ref x,
                             const std::vector<double>& parameters) {
  const std::string name = node.attributeString("activation", "");
  const auto parameter = [&](size_t i, double fallback) {
    return i < parameters.size() ? parameters[i] : fallback;
  };
  if (name.empty() || name == "None") return x;
  if (name == "Relu" || name == "Tanh" || name == "Sigmoid" || name == "HardSwish" ||
      name == "Softplus" || name == "Softsign")
    return emitNested(node, name, 22, {x});
  if (name == "LeakyRelu" || name == "ThresholdedRelu" || name == "Elu")
    return emitNested(node, name, 22, {x},
                      {{"alpha", parameter(0, name == "LeakyRelu" ? 0.01 : 1)}});
  if (name == "HardSigmoid")
    return emitNested(node, name, 22, {x},
                      {{"alpha", parameter(0, 0.2)}, {"beta", parameter(1, 0.5)}});
  if (name == "Clip" && parameters.size() >= 2)
    return emitNested(node, name, 13,
                      {x, scalarLike(node, x, parameters[0]), scalarLike(node, x, parameters[1])});
  node.unsupported(fmt::format("activation {}", name),
                   "Relu, Tanh, Sigmoid, LeakyRelu, Clip, HardSigmoid, HardSwish");
}

void importFusedConv(OnnxNode& node) {
  Ref y = importNested(node, "Conv", 22,
                       {node.requireInput(0), node.requireInput(1), node.input(2)})[0];
  if (node.hasInput(3)) y = node.emit(Operator::of(Add{}), {y, node.input(3)});
  node.setOutput(0, emitActivation(node, y, node.attributeFloats("activation_params")));
}

void importNhwcConv(OnnxNode& node) { node.setOutput(0, channelsLast(node, emitNhwcConv(node))); }

void importNhwcFusedConv(OnnxNode& node) {
  Ref y = channelsLast(node, emitNhwcConv(node));
  if (node.hasInput(3)) y = node.emit(Operator::of(Add{}), {y, node.input(3)});
  node.setOutput(0, emitActivation(node, y, node.attributeFloats("activation_params")));
}

// Padding of a transposed convolution is what is cut off its result.
void importConvTransposeWithDynamicPads(OnnxNode& node) {
  if (node.attributeString("auto_pad", "NOTSET") != "NOTSET")
    node.unsupported("pads and auto_pad", "auto_pad NOTSET");
  Ref y = importNested(node, "ConvTranspose", 22,
                       {node.requireInput(0), node.requireInput(1), node.input(3)})[0];
  if (node.hasInput(2)) {
    const Tensor* pads = node.constantOf(node.input(2));
    if (!pads) node.unsupported("pads computed at run time", "constants");
    const size_t axes = node.rankOf(y) - 2;
    const std::vector<int64_t> given = pads->toInts();
    if (given.size() != 2 * axes)
      throw Error(ErrorCode::InvalidModel, fmt::format("{} pads", given.size()),
                  fmt::format("{}", 2 * axes));
    for (size_t axis = 0; axis < axes; ++axis) {
      const int64_t first = given[axis], last = given[axes + axis];
      if (first < 0 || last < 0) node.unsupported("negative pads", "0 or more");
      const int64_t end = last == 0 ? std::numeric_limits<int64_t>::max() : -last;
      y = emitSlice(node, y, static_cast<int64_t>(axis) + 2, first, end);
    }
  }
  node.setOutput(0, y);
}

}  // namespace carnot
