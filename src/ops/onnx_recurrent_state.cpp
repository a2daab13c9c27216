#include "ops/onnx_recurrent_state.h"

#include <limits>

#include "base/error.h"
#include "ops/concat.h"
#include "ops/conv.h"
#include "ops/expand.h"
#include "ops/onnx_axes.h"
#include "ops/pointwise_activation.h"
#include "ops/pointwise_binary.h"
#include "ops/scatter_elements.h"
#include "ops/shape_of.h"

namespace carnot {

namespace {

using Ref = OnnxNode::Ref;

}  // namespace

void importCausalConvWithState(OnnxNode& node) {
  const Ref x = node.requireInput(0), w = node.requireInput(1);
  const Shape shape = node.shapeOf(x), weights = node.shapeOf(w);
  const std::string activation = node.attributeString("activation", "none");
  if (activation != "none" && activation != "silu" && activation != "swish")
    throw Error(ErrorCode::InvalidModel, fmt::format("activation \"{}\"", activation),
                "none, silu or swish");
  if (shape.rank() != 3 || weights.rank() != 3)
    throw Error(ErrorCode::InvalidModel,
                fmt::format("input {} and weights {}", shape.toString(), weights.toString()),
                "[batch, channels, length] and [channels, 1, k]");
  const auto channels = weights[0].tryConstant(), kernel = weights[2].tryConstant();
  if (!channels || !kernel)
    node.unsupported(fmt::format("weights of shape {}", weights.toString()), "constant dims");
  const int64_t kept = *kernel - 1;

  Ref state = node.input(3);
  if (!state)
    state = node.emit(Operator::of(Expand{.shape = {shape[0], shape[1], kept}}),
                      {scalarLike(node, x, 0)});
  const Ref whole = node.emit(Operator::of(Concat{.axis = 2}), {state, x});
  std::vector<Ref> inputs = {whole, w};
  if (node.hasInput(2)) inputs.push_back(node.input(2));
  const Conv conv{.strides = {1}, .pads = {0, 0}, .dilations = {1}, .group = *channels};
  Ref y = node.emit(Operator::of(conv), inputs);
  if (activation != "none") y = node.emit(Operator::of(Silu{}), {y});
  node.setOutput(0, y);
  constexpr int64_t kEnd = std::numeric_limits<int64_t>::max();
  if (node.outputUsed(1))
    node.setOutput(1, emitSlice(node, whole, 2, kept == 0 ? kEnd : -kept, kEnd));
}

void importTensorScatter(OnnxNode& node) {
  const Ref cache = node.requireInput(0), update = node.requireInput(1);
  const Shape shape = node.shapeOf(update), whole = node.shapeOf(cache);
  const int64_t axis = importAxis(node, "axis", -2, whole.rank());
  const std::string mode = node.attributeString("mode", "linear");
  if (mode != "linear" && mode != "circular")
    throw Error(ErrorCode::InvalidModel, fmt::format("mode \"{}\"", mode), "linear or circular");
  if (axis == 0 || shape.rank() != whole.rank())
    throw Error(ErrorCode::InvalidModel,
                fmt::format("axis {} of {} for {}", axis, whole.toString(), shape.toString()),
                "one rank, and an axis other than the batch");

  Shape along(std::vector<Dim>(shape.rank(), Dim(1))), samples = along;
  along[static_cast<size_t>(axis)] = shape[static_cast<size_t>(axis)];
  Ref index = emitReshape(node, emitPositions(node, update, axis), along);
  if (node.hasInput(2)) {
    samples[0] = shape[0];
    index = node.emit(Operator::of(Add{}), {emitReshape(node, node.input(2), samples), index});
  }
  if (mode == "circular") {
    const Ref extent = node.emit(Operator::of(ShapeOf{.start = axis, .end = axis + 1}), {cache});
    index = node.emit(Operator::of(Mod{}), {index, emitReshape(node, extent, {})});
  }
  index = node.emit(Operator::of(Expand{.shape = shape}), {index});
  node.setOutput(0, node.emit(Operator::of(ScatterElements{.axis = axis}), {cache, index, update}));
}

}  // namespace carnot
