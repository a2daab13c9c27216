#include "base/error.h"
#include "ops/expand.h"
#include "ops/gather.h"
#include "ops/group_norm.h"
#include "ops/layer_norm.h"
#include "ops/onnx_axes.h"
#include "ops/onnx_microsoft.h"
#include "ops/pointwise_activation.h"
#include "ops/pointwise_binary.h"
#include "ops/reduce.h"
#include "ops/rms_norm.h"

namespace carnot {

namespace {

using Ref = OnnxNode::Ref;

Ref emitAdd(OnnxNode& node, Ref a, Ref b) { return b ? node.emit(Operator::of(Add{}), {a, b}) : a; }

int64_t lastAxis(const OnnxNode& node, Ref x) {
  if (node.rankOf(x) == 0) throw Error(ErrorCode::InvalidModel, "a scalar", "rank 1 or more");
  return static_cast<int64_t>(node.rankOf(x)) - 1;
}

Ref emitLayerNorm(OnnxNode& node, Ref x, Ref scale, Ref bias) {
  const LayerNorm norm{.axis = lastAxis(node, x), .epsilon = node.attributeFloat("epsilon", 1e-12)};
  std::vector<Ref> inputs = {x, scale};
  if (bias) inputs.push_back(bias);
  return node.emit(Operator::of(norm), inputs);
}

// Of x [N, C, spatial...], or with the channels last.
Ref emitGroups(OnnxNode& node, Ref x) {
  const bool last = node.attributeInt("channels_last", 1) != 0;
  const size_t rank = node.rankOf(x);
  if (rank < 3)
    throw Error(ErrorCode::InvalidModel, fmt::format("input {}", node.shapeOf(x).toString()),
                "a batch, channels and spatial dims");
  std::vector<int64_t> first = {0, static_cast<int64_t>(rank) - 1}, back = {0};
  for (size_t i = 1; i + 1 < rank; ++i) {
    first.push_back(static_cast<int64_t>(i));
    back.push_back(static_cast<int64_t>(i) + 1);
  }
  back.push_back(1);
  const DType type = node.dtypeOf(x);
  Ref y = last ? emitTranspose(node, x, first) : x;
  const GroupNorm norm{.groups = node.attributeInt("groups", 1),
                       .epsilon = node.attributeFloat("epsilon", 1e-5)};
  y = node.emit(Operator::of(norm), {y, emitCast(node, node.requireInput(1), type),
                                     emitCast(node, node.requireInput(2), type)});
  if (node.attributeInt("activation", 0) != 0) y = node.emit(Operator::of(Silu{}), {y});
  return last ? emitTranspose(node, y, back) : y;
}

}  // namespace

void importSkipLayerNormalization(OnnxNode& node) {
  Ref sum = emitAdd(node, node.requireInput(0), node.requireInput(1));
  sum = emitAdd(node, sum, node.input(4));
  node.setOutput(0, emitLayerNorm(node, sum, node.requireInput(2), node.input(3)));
  if (node.outputUsed(3)) node.setOutput(3, sum);
}

void importSkipSimplifiedLayerNormalization(OnnxNode& node) {
  Ref sum = emitAdd(node, node.requireInput(0), node.requireInput(1));
  sum = emitAdd(node, sum, node.input(3));
  const RmsNorm norm{.axis = lastAxis(node, sum), .epsilon = node.attributeFloat("epsilon", 1e-12)};
  node.setOutput(0, node.emit(Operator::of(norm), {sum, node.requireInput(2)}));
  if (node.outputUsed(3)) node.setOutput(3, sum);
}

void importEmbedLayerNormalization(OnnxNode& node) {
  const Ref ids = node.requireInput(0);
  const Shape shape = node.shapeOf(ids);
  if (shape.rank() != 2)
    throw Error(ErrorCode::InvalidModel, fmt::format("input_ids {}", shape.toString()),
                "[batch, sequence]");
  const auto look = [&](size_t table, Ref rows) {
    return node.emit(Operator::of(Gather{.axis = 0}), {node.requireInput(table), rows});
  };
  Ref sum = look(2, ids);
  if (node.hasInput(1)) sum = emitAdd(node, sum, look(4, node.input(1)));
  sum = emitAdd(node, sum, look(3, node.hasInput(8) ? node.input(8) : emitPositions(node, ids, 1)));
  node.setOutput(0, emitLayerNorm(node, sum, node.requireInput(5), node.requireInput(6)));
  if (node.outputUsed(1)) {
    // How many words of each sequence count.
    Ref count = node.input(7);
    if (count)
      count = node.emit(Operator::of(Reduce{ReduceKind::Sum, {1}, false}), {count});
    else
      count = node.emit(Operator::of(Expand{.shape = {shape[0]}}), {node.scalar(DType::I32, 0)});
    node.setOutput(1, count);
  }
  if (node.outputUsed(2)) node.setOutput(2, sum);
}

void importMicrosoftGroupNorm(OnnxNode& node) {
  node.setOutput(0, emitGroups(node, node.requireInput(0)));
}

void importSkipGroupNorm(OnnxNode& node) {
  const Ref x = node.requireInput(0);
  Ref skip = node.requireInput(3);
  // One value a sample and channel.
  if (const Shape given = node.shapeOf(skip); given.rank() == 2 && node.rankOf(x) == 4)
    skip =
        emitReshape(node, skip,
                    node.attributeInt("channels_last", 1) != 0 ? Shape{given[0], 1, 1, given[1]}
                                                               : Shape{given[0], given[1], 1, 1});
  const Ref sum = emitAdd(node, emitAdd(node, x, skip), node.input(4));
  node.setOutput(0, emitGroups(node, sum));
  if (node.outputUsed(1)) node.setOutput(1, sum);
}

}  // namespace carnot
