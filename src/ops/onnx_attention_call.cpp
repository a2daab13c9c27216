#include "ops/onnx_attention_call.h"

#include <cmath>
#include <limits>

#include "base/error.h"
#include "ops/concat.h"
#include "ops/expand.h"
#include "ops/mat_mul.h"
#include "ops/onnx_axes.h"
#include "ops/pointwise_binary.h"
#include "ops/pointwise_unary.h"
#include "ops/reduce.h"
#include "ops/softmax.h"
#include "ops/where.h"

namespace carnot {

namespace {

using Ref = OnnxNode::Ref;

constexpr double kHidden = -std::numeric_limits<double>::infinity();

Ref conjunction(OnnxNode& node, Ref a, Ref b) {
  return a && b ? node.emit(Operator::of(And{}), {a, b}) : a ? a : b;
}

// Which keys the windows and lengths leave visible, as Bool that broadcasts over the scores; absent
// when they leave all. The causal bound is among them when `withCausal`.
Ref visibleKeys(OnnxNode& node, const AttentionCall& call, bool withCausal) {
  int64_t right = call.right;
  if (call.causal) right = withCausal ? 0 : -1;
  if (call.left < 0 && right < 0 && !call.lengths) return {};
  const Shape& q = node.shapeOf(call.q);
  const Dim queries = q[2];
  const Ref key = emitPositions(node, call.k, 2);
  Ref lengths, visible;
  if (call.lengths) {
    lengths = emitReshape(node, emitCast(node, call.lengths, DType::I64), {q[0], 1, 1, 1});
    visible = node.emit(Operator::of(Less{}), {key, lengths});
  }
  if (call.left < 0 && right < 0) return visible;
  Ref query = emitReshape(node, emitPositions(node, call.q, 2), {queries, 1});
  if (call.starts) {
    const Ref starts = emitReshape(node, emitCast(node, call.starts, DType::I64), {q[0], 1, 1, 1});
    query = node.emit(Operator::of(Add{}), {query, starts});
  } else if (lengths || call.offset != Dim(0)) {
    const Ref count = emitReshape(node, emitDims(node, {lengths ? queries : call.offset}), {});
    if (lengths) query = node.emit(Operator::of(Add{}), {query, lengths});
    query = lengths ? node.emit(Operator::of(Sub{}), {query, count})
                    : node.emit(Operator::of(Add{}), {query, count});
  }
  if (call.left >= 0) {
    const Ref first =
        node.emit(Operator::of(Sub{}), {query, node.scalar(DType::I64, double(call.left))});
    visible = conjunction(node, visible, node.emit(Operator::of(LessOrEqual{}), {first, key}));
  }
  if (right >= 0) {
    const Ref last =
        node.emit(Operator::of(Add{}), {query, node.scalar(DType::I64, double(right))});
    visible = conjunction(node, visible, node.emit(Operator::of(LessOrEqual{}), {key, last}));
  }
  return visible;
}

Ref combinedMask(OnnxNode& node, const AttentionCall& call, bool withCausal) {
  const Ref visible = visibleKeys(node, call, withCausal);
  if (!visible || !call.mask) return visible ? visible : call.mask;
  if (node.dtypeOf(call.mask) == DType::Bool) return conjunction(node, visible, call.mask);
  return node.emit(Operator::of(Where{}),
                   {visible, call.mask, scalarLike(node, call.mask, kHidden)});
}

// The scores [batch, heads, queries, keys] with one more column.
Ref withSinks(OnnxNode& node, Ref scores, Ref sinks) {
  if (!sinks) return scores;
  Shape column = node.shapeOf(scores);
  column[3] = 1;
  const Dim heads = node.shapeOf(sinks).elementCount();
  Ref last = emitReshape(node, emitCast(node, sinks, node.dtypeOf(scores)), {1, heads, 1, 1});
  last = node.emit(Operator::of(Expand{.shape = column}), {last});
  return node.emit(Operator::of(Concat{.axis = 3}), {scores, last});
}

}  // namespace

double attentionScale(const OnnxNode& node, OnnxNode::Ref q) {
  const auto size = node.shapeOf(q)[3].tryConstant();
  if (!size) node.unsupported("queries of symbolic size", "a constant size, or a scale");
  return 1 / std::sqrt(static_cast<double>(*size));
}

OnnxNode::Ref splitHeads(OnnxNode& node, OnnxNode::Ref x, int64_t heads, const char* attribute) {
  const Shape shape = node.shapeOf(x);
  if (shape.rank() == 4) return x;
  if (shape.rank() != 3 || heads < 1 ||
      compare(floorMod(shape[2], Dim(heads)), Dim(0)) == Equality::No)
    throw Error(ErrorCode::InvalidModel,
                fmt::format("input {} with {} {}", shape.toString(), attribute, heads),
                "rank 4, or rank 3 and a number of heads that divides the last dim");
  const Ref split =
      emitReshape(node, x, {shape[0], shape[1], heads, floorDiv(shape[2], Dim(heads))});
  return emitTranspose(node, split, {0, 2, 1, 3});
}

OnnxNode::Ref joinHeads(OnnxNode& node, OnnxNode::Ref x) {
  const Shape shape = node.shapeOf(x);
  return emitReshape(node, emitTranspose(node, x, {0, 2, 1, 3}),
                     {shape[0], shape[2], shape[1] * shape[3]});
}

OnnxNode::Ref emitHeadsProduct(OnnxNode& node, OnnxNode::Ref a, OnnxNode::Ref b, bool transposed) {
  const Shape x = node.shapeOf(a), y = node.shapeOf(b);
  const MatMul product{.transposeB = transposed};
  if (x[1] == y[1]) return node.emit(Operator::of(product), {a, b});
  const Dim shared = floorDiv(x[1], y[1]);
  const Ref wide = emitReshape(node, a, {x[0], y[1], shared, x[2], x[3]});
  const Ref narrow = emitReshape(node, b, {y[0], y[1], 1, y[2], y[3]});
  const Ref z = node.emit(Operator::of(product), {wide, narrow});
  return emitReshape(node, z, {x[0], x[1], x[2], node.shapeOf(z)[4]});
}

OnnxNode::Ref emitAttention(OnnxNode& node, const AttentionCall& call) {
  if (call.softcap != 0 || call.sinks)
    return emitAttentionWithScores(node, call, ScoresOutput::Probabilities).y;
  Attention attention{.scale = call.scale};
  bool asMask = call.lengths || call.starts;
  if (call.causal && !asMask) {
    const Dim fromEnd = node.shapeOf(call.k)[2] - node.shapeOf(call.q)[2];
    if (call.offset == Dim(0))
      attention.causal = Causal::FromStart;
    else if (compare(call.offset, fromEnd) == Equality::Yes)
      attention.causal = Causal::FromEnd;
    else
      asMask = true;
  }
  std::vector<Ref> inputs = {call.q, call.k, call.v};
  if (const Ref mask = combinedMask(node, call, asMask)) inputs.push_back(mask);
  return node.emit(Operator::of(attention), inputs);
}

AttentionResult emitAttentionWithScores(OnnxNode& node, const AttentionCall& call,
                                        ScoresOutput output) {
  AttentionResult result;
  Ref scores = emitHeadsProduct(node, call.q, call.k, true);
  scores = node.emit(Operator::of(Mul{}), {scores, scalarLike(node, scores, call.scale)});
  if (output == ScoresOutput::Products) result.scores = scores;
  if (call.softcap != 0) {
    const Ref cap = scalarLike(node, scores, call.softcap);
    scores = node.emit(Operator::of(Tanh{}), {node.emit(Operator::of(Div{}), {scores, cap})});
    scores = node.emit(Operator::of(Mul{}), {scores, cap});
  }
  if (output == ScoresOutput::Capped) result.scores = scores;
  Ref bias = combinedMask(node, call, true), none;
  if (bias) {
    if (node.dtypeOf(bias) == DType::Bool)
      bias = node.emit(Operator::of(Where{}),
                       {bias, scalarLike(node, scores, 0), scalarLike(node, scores, kHidden)});
    bias = emitCast(node, bias, node.dtypeOf(scores));
    scores = node.emit(Operator::of(Add{}), {scores, bias});
    if (node.rankOf(bias) > 0) {
      const auto last = static_cast<int64_t>(node.rankOf(bias)) - 1;
      const Ref most = node.emit(Operator::of(Reduce{ReduceKind::Max, {last}, true}), {bias});
      none = node.emit(Operator::of(Equal{}), {most, scalarLike(node, most, kHidden)});
    }
  }
  if (output == ScoresOutput::Biased) result.scores = scores;
  Ref weights = node.emit(Operator::of(Softmax{.axis = 3}), {withSinks(node, scores, call.sinks)});
  if (call.sinks) weights = emitSlice(node, weights, 3, 0, -1);
  // A query that sees no key gives zeros.
  if (none)
    weights = node.emit(Operator::of(Where{}), {none, scalarLike(node, weights, 0), weights});
  if (output == ScoresOutput::Probabilities) result.scores = weights;
  result.y = emitHeadsProduct(node, weights, call.v, false);
  return result;
}

}  // namespace carnot
