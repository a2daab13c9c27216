#include "ops/onnx_rotary_embedding.h"

#include "base/error.h"
#include "ops/concat.h"
#include "ops/gather.h"
#include "ops/onnx_axes.h"
#include "ops/pointwise_binary.h"

namespace carnot {

namespace {

using Ref = OnnxNode::Ref;

Ref emitMul(OnnxNode& node, Ref a, Ref b) { return node.emit(Operator::of(Mul{}), {a, b}); }

// Rows of a table of cosines or sines, or what holds one for each position already:
// [batch, sequence, half].
Ref angles(OnnxNode& node, size_t input, Ref positions, int64_t half) {
  Ref cache = node.requireInput(input);
  const size_t wanted = positions ? 2 : 3;
  if (node.rankOf(cache) != wanted ||
      compare(node.shapeOf(cache)[wanted - 1], Dim(half)) == Equality::No)
    throw Error(ErrorCode::InvalidModel,
                fmt::format("input {} of shape {}", input, node.shapeOf(cache).toString()),
                fmt::format("[{}, {}]", wanted == 2 ? "positions" : "batch, sequence", half));
  if (positions) cache = node.emit(Operator::of(Gather{.axis = 0}), {cache, positions});
  if (node.rankOf(cache) != 3)
    throw Error(ErrorCode::InvalidModel,
                fmt::format("positions {}", node.shapeOf(positions).toString()),
                "[batch, sequence]");
  return cache;
}

struct Halves {
  Ref first, second;
};

// x of rank 4, the heads an axis of their own.
Ref withHeads(OnnxNode& node, Ref x, int64_t heads) {
  const Shape given = node.shapeOf(x);
  if (given.rank() == 4) return x;
  if (given.rank() != 3)
    throw Error(ErrorCode::InvalidModel, fmt::format("input {}", given.toString()),
                "[batch, heads, sequence, d] or [batch, sequence, heads * d]");
  if (heads < 1 || compare(floorMod(given[2], Dim(heads)), Dim(0)) == Equality::No)
    throw Error(ErrorCode::InvalidModel,
                fmt::format("num_heads {} for {}", heads, given.toString()),
                "a number of heads that divides the last dim");
  return emitReshape(node, x, {given[0], given[1], heads, floorDiv(given[2], Dim(heads))});
}

// The elements that turn: attribute rotary_embedding_dim, by default all of a head.
int64_t turnedOf(const OnnxNode& node, Ref x) {
  const auto headSize = node.shapeOf(x)[3].tryConstant();
  if (!headSize) node.unsupported("heads of a symbolic size", "a constant one");
  int64_t turned = node.attributeInt("rotary_embedding_dim", 0);
  if (turned == 0) turned = *headSize;
  if (turned < 0 || turned > *headSize || turned % 2 != 0)
    throw Error(ErrorCode::InvalidModel, fmt::format("{} elements turned of {}", turned, *headSize),
                "an even number of them");
  return turned;
}

}  // namespace

OnnxNode::Ref rowsOf(OnnxNode& node, OnnxNode::Ref table, OnnxNode::Ref positions) {
  return node.emit(Operator::of(Gather{.axis = 0}), {table, positions});
}

OnnxNode::Ref emitRotary(OnnxNode& node, const RotaryCall& call) {
  constexpr int64_t kLast = 3;
  const Ref x = call.x;
  const Shape shape = node.shapeOf(x);
  const int64_t turned = call.turned, half = turned / 2;
  const bool all = compare(shape[kLast], Dim(turned)) == Equality::Yes;
  const auto atHeads = [&](Ref angles) {
    std::vector<Dim> dims = node.shapeOf(angles).dims();
    dims.insert(dims.begin() + call.headAxis, Dim(1));
    return emitReshape(node, emitCast(node, angles, node.dtypeOf(x)), Shape(std::move(dims)));
  };
  const Ref cosines = atHeads(call.cosines), sines = atHeads(call.sines);
  Ref pairs = all ? x : emitSlice(node, x, kLast, 0, turned);
  Shape turnedShape = shape, halfShape = shape, column;
  turnedShape[kLast] = turned;
  halfShape[kLast] = half;
  column = halfShape;
  column.push(1);
  Shape paired = halfShape;
  paired.push(2);
  const auto split = [&]() -> Halves {
    if (!call.interleaved)
      return {emitSlice(node, pairs, kLast, 0, half), emitSlice(node, pairs, kLast, half, turned)};
    pairs = emitReshape(node, pairs, paired);
    return {emitReshape(node, emitSlice(node, pairs, kLast + 1, 0, 1), halfShape),
            emitReshape(node, emitSlice(node, pairs, kLast + 1, 1, 2), halfShape)};
  };
  const auto [a, b] = split();
  Ref first = node.emit(Operator::of(Sub{}), {emitMul(node, cosines, a), emitMul(node, sines, b)});
  Ref second = node.emit(Operator::of(Add{}), {emitMul(node, sines, a), emitMul(node, cosines, b)});
  std::vector<Ref> parts = {first, second};
  if (call.interleaved) {
    first = emitReshape(node, first, column);
    second = emitReshape(node, second, column);
    const Ref joined = node.emit(Operator::of(Concat{.axis = kLast + 1}), {first, second});
    parts = {emitReshape(node, joined, turnedShape)};
  }
  if (!all) parts.push_back(emitSlice(node, x, kLast, turned, shape[kLast].constant()));
  return parts.size() == 1 ? parts[0] : node.emit(Operator::of(Concat{.axis = kLast}), parts);
}

void importRotaryEmbedding(OnnxNode& node) {
  const Ref given = node.requireInput(0);
  const Ref x = withHeads(node, given, node.attributeInt("num_heads", 0));
  const int64_t turned = turnedOf(node, x);
  const Ref positions = node.input(3);
  const Ref y = emitRotary(node, {.x = x,
                                  .cosines = angles(node, 1, positions, turned / 2),
                                  .sines = angles(node, 2, positions, turned / 2),
                                  .headAxis = node.rankOf(given) == 3 ? 2 : 1,
                                  .turned = turned,
                                  .interleaved = node.attributeInt("interleaved", 0) != 0});
  node.setOutput(0, emitReshape(node, y, node.shapeOf(given)));
}

void importMicrosoftRotaryEmbedding(OnnxNode& node) {
  if (node.attributeInt("is_packed_batching", 0) != 0)
    node.unsupported("batches packed into one", "a batch of sequences");
  if (node.attributeFloat("scale", 1) != 1)
    node.unsupported("angles with a scale", "a scale of 1", "scale the tables");
  const Ref given = node.requireInput(0);
  const Ref cache = ofRank(node, node.requireInput(2), 2, "[positions, half]");
  const Shape shape = node.shapeOf(given);
  const auto half = node.shapeOf(cache)[1].tryConstant();
  if (!half) node.unsupported("tables of symbolic width", "a constant one");
  int64_t heads = node.attributeInt("num_heads", 0);
  if (heads == 0 && shape.rank() == 3)
    if (auto hidden = shape[2].tryConstant(); hidden && *half > 0) heads = *hidden / (2 * *half);
  const Ref x = withHeads(node, given, heads);
  const int64_t turned = turnedOf(node, x);
  const bool flat = shape.rank() == 3;
  Ref positions = node.requireInput(1);
  // One position is that of every sequence's first element.
  if (node.rankOf(positions) == 1) {
    const Ref step = emitPositions(node, x, flat ? 1 : 2);
    positions = node.emit(Operator::of(Add{}), {step, emitCast(node, positions, DType::I64)});
    positions = emitReshape(node, positions, {1, node.shapeOf(positions)[0]});
  }
  const Ref y = emitRotary(node, {.x = x,
                                  .cosines = angles(node, 2, positions, turned / 2),
                                  .sines = angles(node, 3, positions, turned / 2),
                                  .headAxis = flat ? 2 : 1,
                                  .turned = turned,
                                  .interleaved = node.attributeInt("interleaved", 0) != 0});
  node.setOutput(0, emitReshape(node, y, shape));
}

}  // namespace carnot
