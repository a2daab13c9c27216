#include "base/error.h"
#include "ops/concat.h"
#include "ops/expand.h"
#include "ops/onnx_attention_call.h"
#include "ops/onnx_axes.h"
#include "ops/onnx_microsoft.h"
#include "ops/onnx_rotary_embedding.h"
#include "ops/pointwise_binary.h"
#include "ops/scatter_elements.h"

namespace carnot {

namespace {

using Ref = OnnxNode::Ref;

void refuseVariants(const OnnxNode& node) {
  for (size_t i : {12, 13, 14, 15})
    if (node.hasInput(i))
      node.unsupported(fmt::format("input {}", i),
                       "no quantized caches or norms of queries and keys");
  if (node.attributeInt("kv_cache_bit_width", 0) != 0 ||
      node.attributeInt("sliding_window_cache", 0) != 0)
    node.unsupported("a quantized or sliding cache", "a whole one");
}

// Inputs query, key and value as [batch, sequence, heads, size]; a query alone holds all three.
struct Heads {
  Ref q, k, v;
  int64_t count, shared, size;
};

Heads headsOf(OnnxNode& node) {
  const int64_t count = node.attributeInt("num_heads", 0);
  const int64_t shared = node.attributeInt("kv_num_heads", 0);
  const Ref query = node.requireInput(0);
  const Shape shape = node.shapeOf(query);
  const int64_t width = shape.rank() == 3 ? shape[2].tryConstant().value_or(-1) : -1;
  const bool packed = !node.hasInput(1);
  const int64_t parts = packed ? count + 2 * shared : count;
  if (count < 1 || shared < 1 || count % shared != 0 || width < 0 || width % parts != 0)
    throw Error(ErrorCode::InvalidModel,
                fmt::format("{} heads, {} of keys, for {}", count, shared, shape.toString()),
                "[batch, sequence, heads * size], heads a multiple of those of keys");
  const int64_t size = width / parts;
  const auto part = [&](Ref x, int64_t start, int64_t heads) {
    if (packed) x = emitSlice(node, x, 2, start * size, (start + heads) * size);
    const Shape s = node.shapeOf(ofRank(node, x, 3, "[batch, sequence, heads * size]"));
    return emitReshape(node, x, {s[0], s[1], heads, size});
  };
  if (packed)
    return {part(query, 0, count),
            part(query, count, shared),
            part(query, count + shared, shared),
            count,
            shared,
            size};
  return {part(query, 0, count),
          part(node.input(1), 0, shared),
          part(node.requireInput(2), 0, shared),
          count,
          shared,
          size};
}

Ref toHeadsFirst(OnnxNode& node, Ref x) { return emitTranspose(node, x, {0, 2, 1, 3}); }

// The cache with the new keys or values of each sequence after those it holds.
Ref extended(OnnxNode& node, Ref past, Ref fresh, Ref start, bool grows) {
  const Shape shape = node.shapeOf(fresh);
  Ref cache = past;
  if (grows) {
    const Ref room = node.emit(Operator::of(Expand{.shape = shape}), {scalarLike(node, fresh, 0)});
    cache = node.emit(Operator::of(Concat{.axis = 2}), {past, room});
  }
  const Ref step = emitReshape(node, emitPositions(node, fresh, 2), {1, 1, shape[2], 1});
  const Ref first = emitReshape(node, start, {shape[0], 1, 1, 1});
  Ref index = node.emit(Operator::of(Add{}), {first, step});
  index = node.emit(Operator::of(Expand{.shape = shape}), {index});
  return node.emit(Operator::of(ScatterElements{.axis = 2}), {cache, index, fresh});
}

}  // namespace

void importGroupQueryAttention(OnnxNode& node) {
  refuseVariants(node);
  Heads heads = headsOf(node);
  const Shape shape = node.shapeOf(heads.q);
  const Dim sequence = shape[1];
  const Ref zero = node.scalar(DType::I64, 0);
  const bool past = node.hasInput(3);
  if (past != node.hasInput(4))
    throw Error(ErrorCode::InvalidModel, "one of past_key and past_value", "both or neither");
  // Elements of each sequence before the first new one: seqlens_k + 1 - sequence, and none where a
  // prompt is shorter than the others.
  Ref start;
  if (past) {
    const Ref last =
        emitReshape(node, emitCast(node, node.requireInput(5), DType::I64), {shape[0]});
    start = node.emit(Operator::of(Sub{}), {last, emitDims(node, {sequence - Dim(1)})});
    start = node.emit(Operator::of(Max{}), {start, zero});
  }
  if (node.attributeInt("do_rotary", 0) != 0) {
    const Ref cosines = ofRank(node, node.requireInput(7), 2, "[positions, half]");
    const Ref sines = ofRank(node, node.requireInput(8), 2, "[positions, half]");
    Ref positions = node.input(9);
    if (!positions) {
      positions = emitReshape(node, emitPositions(node, heads.q, 1), {1, sequence});
      if (past)
        positions =
            node.emit(Operator::of(Add{}), {positions, emitReshape(node, start, {shape[0], 1})});
    }
    const auto half = node.shapeOf(cosines)[1].tryConstant();
    if (!half) node.unsupported("tables of symbolic width", "a constant one");
    const auto turn = [&](Ref x) {
      return emitRotary(node, {.x = x,
                               .cosines = rowsOf(node, cosines, positions),
                               .sines = rowsOf(node, sines, positions),
                               .turned = 2 * *half,
                               .interleaved = node.attributeInt("rotary_interleaved", 0) != 0});
    };
    heads.q = turn(heads.q);
    heads.k = turn(heads.k);
  }
  AttentionCall call{.q = toHeadsFirst(node, heads.q),
                     .k = toHeadsFirst(node, heads.k),
                     .v = toHeadsFirst(node, heads.v),
                     .softcap = node.attributeFloat("softcap", 0),
                     .mask = node.input(10),
                     .causal = node.attributeInt("causal", 1) != 0,
                     .sinks = node.input(11)};
  if (!call.sinks && node.attributeInt("smooth_softmax", 0) > 0)
    call.sinks = scalarLike(node, call.q, 0);
  call.scale = node.attributeFloat("scale", 0);
  if (call.scale == 0) call.scale = attentionScale(node, call.q);
  if (const int64_t window = node.attributeInt("local_window_size", -1); window > 0)
    call.left = window - 1;
  if (past) {
    // A past as long as all keys together is the buffer of the present.
    bool grows = true;
    const Dim held =
        node.shapeOf(ofRank(node, node.input(3), 4, "[batch, heads, length, size]"))[2];
    if (auto total = node.contentsOf(node.requireInput(6)); total && total->size() == 1) {
      const auto longest = (*total)[0].tryConstant(), buffer = held.tryConstant();
      grows = !(longest && buffer && *longest <= *buffer) &&
              compare((*total)[0], held) != Equality::Yes;
    }
    call.k = extended(node, node.input(3), call.k, start, grows);
    call.v = extended(node, node.input(4), call.v, start, grows);
    call.starts = start;
  }
  node.setOutput(0, joinHeads(node, emitAttention(node, call)));
  if (node.outputUsed(1)) node.setOutput(1, call.k);
  if (node.outputUsed(2)) node.setOutput(2, call.v);
}

}  // namespace carnot
