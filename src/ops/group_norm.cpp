#include "ops/group_norm.h"

#include "base/error.h"
#include "ops/define.h"
#include "ops/expand.h"
#include "ops/norms.h"
#include "ops/onnx_axes.h"

namespace carnot {

static void infer(const GroupNorm& norm, InferContext& context) {
  inferChannelNorm(context, 2);
  context.require(norm.groups >= 1, fmt::format("{} groups", norm.groups), "at least 1");
  context.requireEqual(floorMod(context.shape(0)[1], Dim(norm.groups)), Dim(0),
                       "channels left over by the groups, and none");
}

static void reference(const GroupNorm& norm, const ReferenceContext& context) {
  normalizeChannels(context, context.in(0).dims[1] / norm.groups, norm.epsilon);
}

static Cost cost(const GroupNorm&, const CostContext& context) {
  return {.flops = 8 * context.elements(), .bytes = context.allBytes()};
}

// Before opset 21 scale and bias have one entry a group.
static OnnxNode::Ref perChannel(OnnxNode& node, OnnxNode::Ref parameter, const Dim& channels,
                                int64_t groups) {
  if (node.opset() >= 21) return parameter;
  const Dim size = floorDiv(channels, Dim(groups));
  OnnxNode::Ref spread = emitReshape(node, parameter, {groups, 1});
  spread = node.emit(Operator::of(Expand{{groups, size}}), {spread});
  return emitReshape(node, spread, {channels});
}

static void importGroupNormalization(OnnxNode& node) {
  const OnnxNode::Ref x = node.requireInput(0);
  const GroupNorm norm{.groups = node.attributeInt("num_groups", 0),
                       .epsilon = node.attributeFloat("epsilon", 1e-5)};
  if (node.rankOf(x) < 2 || norm.groups < 1)
    throw Error(ErrorCode::InvalidModel,
                fmt::format("{} groups of {}", norm.groups, node.shapeOf(x).toString()),
                "[N, C, ...] and at least one group");
  const Dim channels = node.shapeOf(x)[1];
  const OnnxNode::Ref scale = perChannel(node, node.requireInput(1), channels, norm.groups);
  const OnnxNode::Ref bias = perChannel(node, node.requireInput(2), channels, norm.groups);
  node.setOutput(0, node.emit(Operator::of(norm), {x, scale, bias}));
}

template <>
const OpDef& definitionOf<GroupNorm>() {
  static const OpDef kRow = defineOperator<GroupNorm>(
      "GroupNorm", Access::Reduce, {{"", "GroupNormalization", 18, 0, importGroupNormalization}});
  return kRow;
}

}  // namespace carnot
