#include "ops/onnx_attention.h"

#include <array>
#include <limits>

#include "base/error.h"
#include "ops/concat.h"
#include "ops/onnx_attention_call.h"
#include "ops/onnx_axes.h"
#include "ops/pad.h"
#include "ops/pointwise_binary.h"
#include "ops/softmax.h"

namespace carnot {

namespace {

// Keys beyond a mask's last dim are hidden.
OnnxNode::Ref extendMask(OnnxNode& node, OnnxNode::Ref mask, const Dim& keys) {
  const Shape& shape = node.shapeOf(mask);
  if (shape.rank() == 0) return mask;
  const Dim& last = shape[shape.rank() - 1];
  auto missing = (keys - last).tryConstant();
  if (last == Dim(1) || !missing || *missing <= 0) return mask;
  std::vector<int64_t> pads(2 * shape.rank(), 0);
  pads.back() = *missing;
  const bool isBool = node.dtypeOf(mask) == DType::Bool;
  const OnnxNode::Ref hidden =
      scalarLike(node, mask, isBool ? 0 : -std::numeric_limits<double>::infinity());
  return node.emit(Operator::of(Pad{}), {mask, emitInts(node, pads), hidden});
}

}  // namespace

void importAttention(OnnxNode& node) {
  const bool flat = node.rankOf(node.requireInput(0)) == 3, past = node.hasInput(4);
  const int64_t keyHeads = node.attributeInt("kv_num_heads", 0);
  AttentionCall call{.q = splitHeads(node, node.requireInput(0),
                                     node.attributeInt("q_num_heads", 0), "q_num_heads"),
                     .k = splitHeads(node, node.requireInput(1), keyHeads, "kv_num_heads"),
                     .v = splitHeads(node, node.requireInput(2), keyHeads, "kv_num_heads"),
                     .softcap = node.attributeFloat("softcap", 0),
                     .causal = node.attributeInt("is_causal", 0) != 0,
                     .left = node.attributeInt("left_window_size", -1),
                     .right = node.attributeInt("right_window_size", -1),
                     .offset = past ? node.shapeOf(ofRank(node, node.input(4), 4,
                                                          "[batch, heads, length, size]"))[2]
                                    : Dim(0),
                     .lengths = node.input(6)};
  if (past != node.hasInput(5))
    throw Error(ErrorCode::InvalidModel, "one of past_key and past_value", "both or neither");
  if (past && call.lengths)
    throw Error(ErrorCode::InvalidModel, "nonpad_kv_seqlen beside past_key", "one of the two");
  if (past) {
    call.k = node.emit(Operator::of(Concat{.axis = 2}), {node.input(4), call.k});
    call.v = node.emit(Operator::of(Concat{.axis = 2}), {node.input(5), call.v});
  }
  if (node.outputUsed(1)) node.setOutput(1, call.k);
  if (node.outputUsed(2)) node.setOutput(2, call.v);
  // Values may have a type of their own, in which the sums are then taken.
  const DType type = node.dtypeOf(call.q), common = commonFloat(type, node.dtypeOf(call.v));
  for (OnnxNode::Ref* x : {&call.q, &call.k, &call.v}) *x = emitCast(node, *x, common);
  call.scale =
      node.hasAttribute("scale") ? node.attributeFloat("scale", 0) : attentionScale(node, call.q);
  if (node.hasInput(3)) {
    OnnxNode::Ref mask = node.input(3);
    if (isInteger(node.dtypeOf(mask))) mask = emitCast(node, mask, common);
    call.mask = extendMask(node, mask, node.shapeOf(call.k)[2]);
  }
  OnnxNode::Ref y;
  if (node.outputUsed(3)) {
    const int64_t mode = node.attributeInt("qk_matmul_output_mode", 0);
    if (mode < 0 || mode > 3)
      throw Error(ErrorCode::InvalidModel, fmt::format("qk_matmul_output_mode {}", mode), "0 to 3");
    const AttentionResult result =
        emitAttentionWithScores(node, call, static_cast<ScoresOutput>(mode));
    y = result.y;
    node.setOutput(3, emitCast(node, result.scores, type));
  } else {
    y = emitAttention(node, call);
  }
  y = emitCast(node, y, type);
  node.setOutput(0, flat ? joinHeads(node, y) : y);
}

void importFlexAttention(OnnxNode& node) {
  using Ref = OnnxNode::Ref;
  const Ref q = node.requireInput(0), k = node.requireInput(1), v = node.requireInput(2);
  for (Ref x : {q, k, v})
    if (node.rankOf(x) != 4)
      throw Error(ErrorCode::InvalidModel, fmt::format("input {}", node.shapeOf(x).toString()),
                  "[batch, heads, length, size]");
  const double scale =
      node.hasAttribute("scale") ? node.attributeFloat("scale", 0) : attentionScale(node, q);
  const bool modified = node.hasAttribute("score_mod") || node.hasAttribute("prob_mod");
  const DType type = node.dtypeOf(q);
  if (!modified)
    return node.setOutput(0, emitAttention(node, {.q = q, .k = k, .v = v, .scale = scale}));
  const DType precision =
      node.attributeDType("softmax_precision", type == DType::F64 ? DType::F64 : DType::F32);
  Ref scores = emitHeadsProduct(node, q, k, true);
  scores = node.emit(Operator::of(Mul{}), {scores, scalarLike(node, scores, scale)});
  scores = emitCast(node, scores, precision);
  const auto modify = [&](std::string_view attribute, Ref x) {
    if (!node.hasAttribute(attribute)) return x;
    const std::vector<Ref> outputs = node.inlineGraph(attribute, std::array{x});
    if (outputs.size() != 1 || node.rankOf(outputs[0]) != 4)
      throw Error(ErrorCode::InvalidModel, fmt::format("the outputs of {}", attribute),
                  "one, of its input's shape");
    return outputs[0];
  };
  scores = modify("score_mod", scores);
  const Ref weights = modify("prob_mod", node.emit(Operator::of(Softmax{.axis = 3}), {scores}));
  node.setOutput(0, emitHeadsProduct(node, emitCast(node, weights, type), v, false));
}

}  // namespace carnot
