#include "base/error.h"
#include "ops/concat.h"
#include "ops/expand.h"
#include "ops/mat_mul.h"
#include "ops/onnx_attention_call.h"
#include "ops/onnx_axes.h"
#include "ops/onnx_microsoft.h"
#include "ops/pointwise_binary.h"
#include "ops/where.h"

namespace carnot {

namespace {

using Ref = OnnxNode::Ref;

// Which keys count, by the shape of input `input`: [batch] lengths; [2 batch] ends, then starts;
// [batch, keys] or [batch, queries, keys], 0 where hidden. What is hidden adds mask_filter_value.
Ref paddingMask(OnnxNode& node, size_t input, const AttentionCall& call) {
  const Ref given = node.input(input);
  if (!given) return {};
  const Shape shape = node.shapeOf(given);
  const Dim batch = node.shapeOf(call.q)[0], keys = node.shapeOf(call.k)[2];
  Ref visible;
  if (shape.rank() == 1 && compare(shape[0], batch) == Equality::Yes) {
    const Ref ends = emitReshape(node, emitCast(node, given, DType::I64), {batch, 1, 1, 1});
    visible = node.emit(Operator::of(Less{}), {emitPositions(node, call.k, 2), ends});
  } else if (shape.rank() == 1 && batch.tryConstant() &&
             compare(shape[0], batch * Dim(2)) == Equality::Yes) {
    const int64_t count = batch.constant();
    const auto part = [&](int64_t first) {
      const Ref half = emitSlice(node, emitCast(node, given, DType::I64), 0, first, first + count);
      return emitReshape(node, half, {batch, 1, 1, 1});
    };
    const Ref keyAt = emitPositions(node, call.k, 2);
    visible = node.emit(Operator::of(And{}),
                        {node.emit(Operator::of(Less{}), {keyAt, part(0)}),
                         node.emit(Operator::of(LessOrEqual{}), {part(count), keyAt})});
  } else if (shape.rank() == 2 || shape.rank() == 3) {
    const Ref heads = emitReshape(node, given,
                                  shape.rank() == 2 ? Shape{shape[0], 1, 1, shape[1]}
                                                    : Shape{shape[0], 1, shape[1], shape[2]});
    visible = emitCast(node, heads, DType::Bool);
  } else {
    node.unsupported(fmt::format("a mask {} for {} sequences of {} keys", shape.toString(),
                                 batch.toString(), keys.toString()),
                     "[batch], [2 * batch], [batch, keys] or [batch, queries, keys]");
  }
  const double hidden = node.attributeFloat("mask_filter_value", -10000);
  return node.emit(Operator::of(Where{}),
                   {visible, scalarLike(node, call.q, 0), scalarLike(node, call.q, hidden)});
}

Ref sum(OnnxNode& node, Ref a, Ref b) {
  return a && b ? node.emit(Operator::of(Add{}), {a, b}) : a ? a : b;
}

Ref emitConcat(OnnxNode& node, int64_t axis, Ref a, Ref b) {
  return node.emit(Operator::of(Concat{.axis = axis}), {a, b});
}

int64_t headsOf(const OnnxNode& node) {
  const int64_t heads = node.attributeInt("num_heads", 0);
  if (heads < 1)
    throw Error(ErrorCode::InvalidModel, fmt::format("num_heads {}", heads), "1 or more");
  return heads;
}

double scaleOf(const OnnxNode& node, Ref q) {
  const double scale = node.attributeFloat("scale", 0);
  return scale != 0 ? scale : attentionScale(node, q);
}

// Where in the inputs the parts stand that Attention and QAttention share.
constexpr size_t kNowhere = 99;
struct Places {
  size_t mask, past, bias, pastLength;
};

// qkv [batch, sequence, sizes of queries, keys and values].
void finishAttention(OnnxNode& node, Ref qkv, const Places& places) {
  if (node.attributeInt("do_rotary", 0) != 0)
    node.unsupported("turned queries and keys (do_rotary)", "a RotaryEmbedding before");
  if (node.attributeInt("past_present_share_buffer", 0) != 0 || node.hasInput(places.pastLength))
    node.unsupported("a past that shares the present's buffer", "a past of its own");
  const Shape shape = node.shapeOf(qkv);
  const auto width = shape[shape.rank() - 1].tryConstant();
  if (shape.rank() != 3 || !width)
    node.unsupported(fmt::format("projections {}", shape.toString()),
                     "[batch, sequence, a constant size]");
  std::vector<int64_t> sizes = node.attributeInts("qkv_hidden_sizes");
  if (sizes.empty()) sizes = {*width / 3, *width / 3, *width / 3};
  if (sizes.size() != 3 || sizes[0] + sizes[1] + sizes[2] != *width)
    throw Error(ErrorCode::InvalidModel, fmt::format("projections of size {}", *width),
                "the sizes of queries, keys and values together");
  const int64_t heads = headsOf(node);
  const auto part = [&](int64_t start, int64_t size) {
    return splitHeads(node, emitSlice(node, qkv, 2, start, start + size), heads, "num_heads");
  };
  AttentionCall call{.q = part(0, sizes[0]),
                     .k = part(sizes[0], sizes[1]),
                     .v = part(sizes[0] + sizes[1], sizes[2]),
                     .causal = node.attributeInt("unidirectional", 0) != 0};
  call.scale = scaleOf(node, call.q);
  const auto pair = [&](Ref x) {
    const Shape s = node.shapeOf(x);
    return emitReshape(node, x, {1, s[0], s[1], s[2], s[3]});
  };
  if (const Ref past = node.input(places.past)) {
    const Shape s = node.shapeOf(past);
    if (s.rank() != 5)
      throw Error(ErrorCode::InvalidModel, fmt::format("past {}", s.toString()),
                  "[2, batch, heads, length, size]");
    const auto half = [&](int64_t i) {
      return emitReshape(node, emitSlice(node, past, 0, i, i + 1), {s[1], s[2], s[3], s[4]});
    };
    call.k = emitConcat(node, 2, half(0), call.k);
    call.v = emitConcat(node, 2, half(1), call.v);
    call.offset = s[3];
  }
  call.mask = sum(node, paddingMask(node, places.mask, call), node.input(places.bias));
  node.setOutput(0, joinHeads(node, emitAttention(node, call)));
  if (node.outputUsed(1)) node.setOutput(1, emitConcat(node, 0, pair(call.k), pair(call.v)));
}

}  // namespace

void importMicrosoftAttention(OnnxNode& node) {
  Ref qkv = node.emit(Operator::of(MatMul{}), {node.requireInput(0), node.requireInput(1)});
  finishAttention(node, sum(node, qkv, node.input(2)), {3, 4, 5, 6});
}

void importQAttention(OnnxNode& node) {
  const Ref qkv =
      emitIntegerProduct(node, node.requireInput(0), node.requireInput(1), node.input(6),
                         node.input(7), node.requireInput(3), node.requireInput(4));
  finishAttention(node, sum(node, qkv, node.requireInput(2)), {5, 8, kNowhere, kNowhere});
}

void importMultiHeadAttention(OnnxNode& node) {
  if (node.hasInput(8) || node.hasInput(9))
    node.unsupported("a past in a buffer, or beams", "a past of its own length");
  const int64_t heads = headsOf(node);
  Ref q = node.requireInput(0), k = node.input(1), v = node.input(2);
  // [batch, length, heads, parts, size] as [batch, length, heads * size].
  const auto part = [&](Ref x, int64_t i) {
    const Shape s = node.shapeOf(x);
    return emitReshape(node, emitSlice(node, x, 3, i, i + 1), {s[0], s[1], s[2] * s[4]});
  };
  const auto isPacked = [&](Ref x) { return x && node.rankOf(x) == 5; };
  if (isPacked(q)) {
    const Ref packed = q;
    q = part(packed, 0);
    k = part(packed, 1);
    v = part(packed, 2);
  } else if (isPacked(k)) {
    const Ref packed = k;
    k = part(packed, 0);
    v = part(packed, 1);
  }
  if (!k || !v) throw Error(ErrorCode::InvalidModel, "no keys or no values", "both");
  if (const Ref bias = node.input(3)) {
    int64_t start = 0;
    const auto biased = [&](Ref x) {
      const auto size =
          node.shapeOf(ofRank(node, x, 3, "[batch, length, heads * size]"))[2].tryConstant();
      if (!size) node.unsupported("a bias of a symbolic size", "a constant one");
      const Ref own = emitSlice(node, bias, 0, start, start + *size);
      start += *size;
      return sum(node, x, own);
    };
    q = biased(q);
    // Keys and values that come as heads were projected whole before.
    if (node.rankOf(k) != 4) {
      k = biased(k);
      v = biased(v);
    }
  }
  AttentionCall call{.q = splitHeads(node, q, heads, "num_heads"),
                     .k = splitHeads(node, k, heads, "num_heads"),
                     .v = splitHeads(node, v, heads, "num_heads"),
                     .causal = node.attributeInt("unidirectional", 0) != 0};
  call.scale = scaleOf(node, call.q);
  if (node.hasInput(6) != node.hasInput(7))
    throw Error(ErrorCode::InvalidModel, "one of past_key and past_value", "both or neither");
  if (node.hasInput(6)) {
    call.offset = node.shapeOf(ofRank(node, node.input(6), 4, "[batch, heads, length, size]"))[2];
    call.k = emitConcat(node, 2, node.input(6), call.k);
    call.v = emitConcat(node, 2, node.input(7), call.v);
  }
  call.mask = sum(node, paddingMask(node, 4, call), node.input(5));
  node.setOutput(0, joinHeads(node, emitAttention(node, call)));
  if (node.outputUsed(1)) node.setOutput(1, call.k);
  if (node.outputUsed(2)) node.setOutput(2, call.v);
}

}  // namespace carnot
