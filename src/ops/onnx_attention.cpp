#include "ops/onnx_attention.h"

#include <cmath>
#include <limits>

#include "base/error.h"
#include "ops/attention.h"
#include "ops/concat.h"
#include "ops/onnx_axes.h"
#include "ops/pad.h"

namespace carnot {

namespace {

void refuseVariants(const OnnxNode& node) {
  if (node.attributeFloat("softcap", 0) != 0)
    node.unsupported("attention with softcap", "softcap 0",
                     "export the model with attention decomposed");
  if (node.attributeInt("left_window_size", -1) >= 0 ||
      node.attributeInt("right_window_size", -1) >= 0)
    node.unsupported("attention with a sliding window", "the whole sequence",
                     "pass the window as attn_mask");
  if (node.hasInput(6))
    node.unsupported("attention with nonpad_kv_seqlen (input 6)", "sequences without padding",
                     "pass the padding as attn_mask");
  if (node.outputUsed(3))
    node.unsupported("attention whose scores (output 3) are used", "the other outputs alone",
                     "export the model with attention decomposed");
}

// [batch, length, heads * size] as [batch, heads, length, size].
OnnxNode::Ref splitHeads(OnnxNode& node, OnnxNode::Ref x, int64_t heads, const char* attribute) {
  const Shape shape = node.shapeOf(x);
  if (shape.rank() == 4) return x;
  if (shape.rank() != 3 || heads < 1)
    throw Error(ErrorCode::InvalidModel,
                fmt::format("input {} with {} {}", shape.toString(), attribute, heads),
                "rank 4, or rank 3 and the number of heads");
  const OnnxNode::Ref split =
      emitReshape(node, x, {shape[0], shape[1], heads, floorDiv(shape[2], Dim(heads))});
  return emitTranspose(node, split, {0, 2, 1, 3});
}

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
  refuseVariants(node);
  const bool flat = node.rankOf(node.requireInput(0)) == 3;
  const int64_t heads = node.attributeInt("q_num_heads", 0);
  const int64_t keyHeads = node.attributeInt("kv_num_heads", 0);
  const OnnxNode::Ref q = splitHeads(node, node.requireInput(0), heads, "q_num_heads");
  OnnxNode::Ref k = splitHeads(node, node.requireInput(1), keyHeads, "kv_num_heads");
  OnnxNode::Ref v = splitHeads(node, node.requireInput(2), keyHeads, "kv_num_heads");
  const bool past = node.hasInput(4);
  if (past != node.hasInput(5))
    throw Error(ErrorCode::InvalidModel, "one of past_key and past_value", "both or neither");
  if (past) {
    k = node.emit(Operator::of(Concat{.axis = 2}), {node.input(4), k});
    v = node.emit(Operator::of(Concat{.axis = 2}), {node.input(5), v});
  }
  Attention attention{.scale = node.attributeFloat("scale", 0)};
  if (!node.hasAttribute("scale")) {
    auto size = node.shapeOf(q)[3].tryConstant();
    if (!size) node.unsupported("queries of symbolic size", "a constant size, or a scale");
    attention.scale = 1 / std::sqrt(static_cast<double>(*size));
  }
  if (node.attributeInt("is_causal", 0) != 0)
    attention.causal = past ? Causal::FromEnd : Causal::FromStart;
  std::vector<OnnxNode::Ref> inputs = {q, k, v};
  if (node.hasInput(3)) inputs.push_back(extendMask(node, node.input(3), node.shapeOf(k)[2]));
  OnnxNode::Ref y = node.emit(Operator::of(attention), inputs);
  if (flat) {
    const Shape shape = node.shapeOf(y);
    y = emitTranspose(node, y, {0, 2, 1, 3});
    y = emitReshape(node, y, {shape[0], shape[2], shape[1] * shape[3]});
  }
  node.setOutput(0, y);
  if (node.outputUsed(1)) node.setOutput(1, k);
  if (node.outputUsed(2)) node.setOutput(2, v);
}

}  // namespace carnot
