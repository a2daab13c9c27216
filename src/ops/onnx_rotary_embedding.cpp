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

// Cosines or sines [batch, sequence, half] with an axis for the heads at `headAxis`.
Ref angles(OnnxNode& node, size_t input, int64_t half, int64_t headAxis) {
  Ref cache = node.requireInput(input);
  const size_t wanted = node.hasInput(3) ? 2 : 3;
  if (node.rankOf(cache) != wanted ||
      compare(node.shapeOf(cache)[wanted - 1], Dim(half)) == Equality::No)
    throw Error(ErrorCode::InvalidModel,
                fmt::format("input {} of shape {}", input, node.shapeOf(cache).toString()),
                fmt::format("[{}, {}]", wanted == 2 ? "positions" : "batch, sequence", half));
  if (wanted == 2) cache = node.emit(Operator::of(Gather{.axis = 0}), {cache, node.input(3)});
  std::vector<Dim> dims = node.shapeOf(cache).dims();
  if (dims.size() != 3)
    throw Error(ErrorCode::InvalidModel,
                fmt::format("positions {}", node.shapeOf(node.input(3)).toString()),
                "[batch, sequence]");
  dims.insert(dims.begin() + headAxis, Dim(1));
  return emitReshape(node, cache, Shape(std::move(dims)));
}

struct Halves {
  Ref first, second;
};

}  // namespace

void importRotaryEmbedding(OnnxNode& node) {
  constexpr int64_t kLast = 3;
  Ref x = node.requireInput(0);
  const Shape given = node.shapeOf(x);
  if (given.rank() == 3) {
    const int64_t heads = node.attributeInt("num_heads", 0);
    if (heads < 1 || compare(floorMod(given[2], Dim(heads)), Dim(0)) == Equality::No)
      throw Error(ErrorCode::InvalidModel,
                  fmt::format("num_heads {} for {}", heads, given.toString()),
                  "a number of heads that divides the last dim");
    x = emitReshape(node, x, {given[0], given[1], heads, floorDiv(given[2], Dim(heads))});
  } else if (given.rank() != 4) {
    throw Error(ErrorCode::InvalidModel, fmt::format("input {}", given.toString()),
                "[batch, heads, sequence, d] or [batch, sequence, heads * d]");
  }
  const Shape shape = node.shapeOf(x);
  const auto headSize = shape[kLast].tryConstant();
  if (!headSize) node.unsupported("heads of a symbolic size", "a constant one");
  int64_t turned = node.attributeInt("rotary_embedding_dim", 0);
  if (turned == 0) turned = *headSize;
  if (turned < 0 || turned > *headSize || turned % 2 != 0)
    throw Error(ErrorCode::InvalidModel, fmt::format("{} elements turned of {}", turned, *headSize),
                "an even number of them");
  const int64_t half = turned / 2, headAxis = given.rank() == 3 ? 2 : 1;
  const Ref cosines = angles(node, 1, half, headAxis), sines = angles(node, 2, half, headAxis);

  const bool interleaved = node.attributeInt("interleaved", 0) != 0;
  Ref pairs = turned == *headSize ? x : emitSlice(node, x, kLast, 0, turned);
  Shape turnedShape = shape, halfShape = shape, column;
  turnedShape[kLast] = turned;
  halfShape[kLast] = half;
  column = halfShape;
  column.push(1);
  Shape paired = halfShape;
  paired.push(2);
  // The elements of a pair lie side by side, or half the turned ones apart.
  const auto split = [&]() -> Halves {
    if (!interleaved)
      return {emitSlice(node, pairs, kLast, 0, half), emitSlice(node, pairs, kLast, half, turned)};
    pairs = emitReshape(node, pairs, paired);
    return {emitReshape(node, emitSlice(node, pairs, kLast + 1, 0, 1), halfShape),
            emitReshape(node, emitSlice(node, pairs, kLast + 1, 1, 2), halfShape)};
  };
  const auto [a, b] = split();
  Ref first = node.emit(Operator::of(Sub{}), {emitMul(node, cosines, a), emitMul(node, sines, b)});
  Ref second = node.emit(Operator::of(Add{}), {emitMul(node, sines, a), emitMul(node, cosines, b)});
  std::vector<Ref> parts = {first, second};
  if (interleaved) {
    first = emitReshape(node, first, column);
    second = emitReshape(node, second, column);
    const Ref joined = node.emit(Operator::of(Concat{.axis = kLast + 1}), {first, second});
    parts = {emitReshape(node, joined, turnedShape)};
  }
  if (turned != *headSize) parts.push_back(emitSlice(node, x, kLast, turned, *headSize));
  Ref y = parts[0];
  if (parts.size() > 1) y = node.emit(Operator::of(Concat{.axis = kLast}), parts);
  node.setOutput(0, emitReshape(node, y, given));
}

}  // namespace carnot
