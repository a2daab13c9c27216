#include "ops/onnx_random.h"

#include <bit>
#include <numbers>

#include "base/error.h"
#include "ops/arg_reduce.h"
#include "ops/onnx_axes.h"
#include "ops/pointwise_binary.h"
#include "ops/pointwise_unary.h"
#include "ops/range.h"

namespace carnot {

namespace {

using Ref = OnnxNode::Ref;

Tensor word(uint32_t value) {
  Tensor tensor(DType::U32, {});
  tensor.view().storeInt(0, value);
  return tensor;
}

uint32_t seedOf(const OnnxNode& node, uint32_t stream) {
  uint32_t hash = 2166136261u;  // FNV-1a
  const auto mix = [&](uint32_t byte) { hash = (hash ^ (byte & 255)) * 16777619u; };
  if (node.hasAttribute("seed")) {
    const auto bits = std::bit_cast<uint64_t>(node.attributeFloat("seed", 0));
    for (int i = 0; i < 8; ++i) mix(static_cast<uint32_t>(bits >> 8 * i));
  } else {
    for (char c : node.name()) mix(static_cast<uint8_t>(c));
  }
  mix(stream);
  return hash;
}

// Float32 in [0, 1) for each element of a shape: 24 bits of MurmurHash3's finalizer over its place.
Ref emitUniform(OnnxNode& node, const Shape& shape, uint32_t stream) {
  const Dim count = shape.elementCount();
  const Ref extent = emitReshape(node, emitDims(node, {count}), {});
  Ref x = node.emit(Operator::of(Range{}),
                    {node.scalar(DType::I64, 0), extent, node.scalar(DType::I64, 1)});
  x = emitCast(node, emitReshape(node, x, shape), DType::U32);
  const auto apply = [&](auto op, uint32_t value) {
    x = node.emit(Operator::of(op), {x, node.constant(word(value))});
  };
  const auto fold = [&](uint32_t bits) {
    const Ref high =
        node.emit(Operator::of(BitShift{.left = false}), {x, node.constant(word(bits))});
    x = node.emit(Operator::of(BitwiseXor{}), {x, high});
  };
  apply(Mul{}, 0x9e3779b1u);
  apply(BitwiseXor{}, seedOf(node, stream));
  fold(16);
  apply(Mul{}, 0x85ebca6bu);
  fold(13);
  apply(Mul{}, 0xc2b2ae35u);
  fold(16);
  apply(BitShift{.left = false}, 8);
  x = emitCast(node, x, DType::F32);
  return node.emit(Operator::of(Mul{}), {x, node.scalar(DType::F32, 0x1p-24)});
}

Ref emitScaled(OnnxNode& node, Ref x, double factor, double term) {
  if (factor != 1) x = node.emit(Operator::of(Mul{}), {x, scalarLike(node, x, factor)});
  if (term != 0) x = node.emit(Operator::of(Add{}), {x, scalarLike(node, x, term)});
  return x;
}

// Box and Muller's transform of two uniform numbers.
Ref emitNormal(OnnxNode& node, const Shape& shape) {
  // Above 0, for the logarithm.
  const Ref positive = emitScaled(node, emitUniform(node, shape, 0), 1, 0x1p-25);
  Ref radius = node.emit(Operator::of(NaturalLog{}), {positive});
  radius = node.emit(Operator::of(Sqrt{}), {emitScaled(node, radius, -2, 0)});
  Ref angle = emitScaled(node, emitUniform(node, shape, 1), 2 * std::numbers::pi, 0);
  return node.emit(Operator::of(Mul{}), {radius, node.emit(Operator::of(Cos{}), {angle})});
}

// Attribute dtype, whose 0 says no more than its absence.
DType typeOf(const OnnxNode& node, DType fallback) {
  return node.attributeInt("dtype", 0) == 0 ? fallback : node.attributeDType("dtype", fallback);
}

Shape shapeAttribute(const OnnxNode& node) {
  const std::vector<int64_t> dims = node.attributeInts("shape");
  for (int64_t dim : dims)
    if (dim < 0) throw Error(ErrorCode::InvalidModel, fmt::format("a dim of {}", dim), "0 or more");
  return Shape::of(dims);
}

void setUniform(OnnxNode& node, const Shape& shape, DType fallback) {
  const double low = node.attributeFloat("low", 0), high = node.attributeFloat("high", 1);
  const Ref x = emitScaled(node, emitUniform(node, shape, 0), high - low, low);
  node.setOutput(0, emitCast(node, x, typeOf(node, fallback)));
}

void setNormal(OnnxNode& node, const Shape& shape, DType fallback) {
  const Ref x = emitScaled(node, emitNormal(node, shape), node.attributeFloat("scale", 1),
                           node.attributeFloat("mean", 0));
  node.setOutput(0, emitCast(node, x, typeOf(node, fallback)));
}

}  // namespace

// 1 with the probability that the input says.
void importBernoulli(OnnxNode& node) {
  const Ref p = node.requireInput(0);
  const Ref drawn = emitCast(node, emitUniform(node, node.shapeOf(p), 0), node.dtypeOf(p));
  const Ref hit = node.emit(Operator::of(Less{}), {drawn, p});
  node.setOutput(0, emitCast(node, hit, typeOf(node, node.dtypeOf(p))));
}

void importRandomUniform(OnnxNode& node) { setUniform(node, shapeAttribute(node), DType::F32); }
void importRandomNormal(OnnxNode& node) { setNormal(node, shapeAttribute(node), DType::F32); }

void importRandomUniformLike(OnnxNode& node) {
  const Ref x = node.requireInput(0);
  setUniform(node, node.shapeOf(x), node.dtypeOf(x));
}

void importRandomNormalLike(OnnxNode& node) {
  const Ref x = node.requireInput(0);
  setNormal(node, node.shapeOf(x), node.dtypeOf(x));
}

// The class whose logarithm of a probability, plus noise of Gumbel's distribution, is the largest.
void importMultinomial(OnnxNode& node) {
  const Ref logits = node.requireInput(0);
  const Shape shape = node.shapeOf(logits);
  const int64_t samples = node.attributeInt("sample_size", 1);
  if (shape.rank() != 2 || samples < 1)
    throw Error(ErrorCode::InvalidModel, fmt::format("{} samples of {}", samples, shape.toString()),
                "[batch, classes], and one or more");
  Ref noise = emitUniform(node, {shape[0], samples, shape[1]}, 0);
  for (int i = 0; i < 2; ++i) {
    if (i == 0) noise = emitScaled(node, noise, 1, 0x1p-25);
    noise = node.emit(Operator::of(Neg{}), {node.emit(Operator::of(NaturalLog{}), {noise})});
  }
  const Ref wide = emitReshape(node, emitCast(node, logits, DType::F32), {shape[0], 1, shape[1]});
  const Ref sum = node.emit(Operator::of(Add{}), {wide, noise});
  const Ref drawn = node.emit(Operator::of(ArgReduce{.axis = 2, .keepDims = false}), {sum});
  node.setOutput(0, emitCast(node, drawn, typeOf(node, DType::I32)));
}

}  // namespace carnot
