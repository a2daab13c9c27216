#include "ops/onnx_integer_products.h"

#include "base/error.h"
#include "ops/conv.h"
#include "ops/mat_mul.h"
#include "ops/mat_mul_integer.h"
#include "ops/onnx_axes.h"
#include "ops/onnx_broadcast.h"
#include "ops/onnx_window.h"
#include "ops/pointwise_binary.h"
#include "ops/quantize_linear.h"

namespace carnot {

namespace {

using Ref = OnnxNode::Ref;

Ref emitMul(OnnxNode& node, Ref a, Ref b) { return node.emit(Operator::of(Mul{}), {a, b}); }

void requireLevels(const OnnxNode& node, size_t input, bool floats) {
  const DType type = node.dtypeOf(node.requireInput(input));
  if (dtypeBits(type) == 8 && (isInteger(type) || (floats && isFloat(type)))) return;
  throw Error(ErrorCode::InvalidModel, fmt::format("input {} of {}", input, dtypeName(type)),
              floats ? "int8, uint8 or a float of 8 bits" : "int8 or uint8");
}

// Input i as `to`, which holds its every difference from the zero point.
Ref centred(OnnxNode& node, size_t input, Ref zeroPoint, DType to) {
  const Ref x = emitCast(node, node.requireInput(input), to);
  if (!zeroPoint) return x;
  return node.emit(Operator::of(Sub{}), {x, emitCast(node, zeroPoint, to)});
}

// --- matrix products

// A scale or zero point of an operand of a matrix product: a scalar, or [n] for its rows (a) or
// columns (b), or of the operand's rank already.
Ref matrixParameter(OnnxNode& node, size_t input, bool ofRows) {
  const Ref value = node.input(input);
  if (!value || node.rankOf(value) == 0) return value;
  const Shape shape = node.shapeOf(value);
  if (shape.elementCount() == Dim(1)) return asScalar(node, value);
  return shape.rank() == 1 && ofRows ? emitReshape(node, value, {shape[0], 1}) : value;
}

// Inputs `a` and `b` less their zero points, the inputs `aZero` and `bZero`.
Ref emitProduct(OnnxNode& node, size_t a, size_t aZero, size_t b, size_t bZero) {
  const Ref x = node.requireInput(a), y = node.requireInput(b);
  const Ref xZero = matrixParameter(node, aZero, true), yZero = matrixParameter(node, bZero, false);
  if (isInteger(node.dtypeOf(x)) && isInteger(node.dtypeOf(y)))
    return node.emit(Operator::of(MatMulInteger{}), {x, y, xZero, yZero});
  return node.emit(Operator::of(MatMul{}),
                   {centred(node, a, xZero, DType::F32), centred(node, b, yZero, DType::F32)});
}

// --- convolutions

// One value an output channel, so that it broadcasts over [M, C, kernel...] (axis 0) or
// [N, M, spatial...] (axis 1).
Ref channelParameter(OnnxNode& node, size_t input, size_t axis, size_t rank) {
  const Ref value = node.input(input);
  if (!value || node.rankOf(value) == 0) return value;
  const Shape shape = node.shapeOf(value);
  if (shape.elementCount() == Dim(1)) return asScalar(node, value);
  if (shape.rank() != 1)
    throw Error(ErrorCode::InvalidModel,
                fmt::format("input {} of shape {}", input, shape.toString()),
                "a scalar, or a value an output channel");
  Shape along(std::vector<Dim>(rank, Dim(1)));
  along[axis] = shape[0];
  return emitReshape(node, value, along);
}

// In F64, which holds every sum of such products; int32 keeps the low bits of what it cannot hold.
Ref emitConv(OnnxNode& node, size_t x, size_t xZero, size_t w, size_t wZero) {
  WindowAttributes window =
      importWindow(node, node.shapeOf(node.requireInput(x)), importKernel(node, w));
  const size_t rank = node.rankOf(node.requireInput(w));
  Conv conv{.strides = std::move(window.strides),
            .pads = std::move(window.pads),
            .dilations = std::move(window.dilations),
            .group = node.attributeInt("group", 1)};
  const Ref zero = node.hasInput(xZero) ? asScalar(node, node.input(xZero)) : Ref{};
  const Ref sums =
      node.emit(Operator::of(std::move(conv)),
                {centred(node, x, zero, DType::F64),
                 centred(node, w, channelParameter(node, wZero, 0, rank), DType::F64)});
  return emitCast(node, emitCast(node, sums, DType::I64), DType::I32);
}

// --- requantization

// sums * (a * b / y) on the levels of the zero point.
Ref emitRequantized(OnnxNode& node, Ref sums, Ref a, Ref b, Ref y, Ref zeroPoint) {
  auto wide = [&](Ref scale) { return emitCast(node, scale, DType::F32); };
  const Ref product = emitMul(node, wide(a), wide(b));
  const Ref factor = node.emit(Operator::of(Div{}), {product, wide(y)});
  const Ref scaled = emitMul(node, wide(sums), factor);
  return node.emit(Operator::of(QuantizeLinear{}), {scaled, node.scalar(DType::F32, 1), zeroPoint});
}

}  // namespace

void importMatMulInteger(OnnxNode& node) {
  requireLevels(node, 0, false);
  requireLevels(node, 1, false);
  node.setOutput(0, emitProduct(node, 0, 2, 1, 3));
}

void importConvInteger(OnnxNode& node) {
  requireLevels(node, 0, false);
  requireLevels(node, 1, false);
  node.setOutput(0, emitConv(node, 0, 2, 1, 3));
}

void importQLinearMatMul(OnnxNode& node) {
  requireLevels(node, 0, true);
  requireLevels(node, 3, true);
  for (size_t i : {1, 4, 6, 7}) node.requireInput(i);
  const Ref sums = emitProduct(node, 0, 2, 3, 5);
  node.setOutput(0, emitRequantized(node, sums, matrixParameter(node, 1, true),
                                    matrixParameter(node, 4, false), matrixParameter(node, 6, true),
                                    matrixParameter(node, 7, true)));
}

void importQLinearConv(OnnxNode& node) {
  requireLevels(node, 0, false);
  requireLevels(node, 3, false);
  const Ref y = asScalar(node, node.requireInput(6)), yZero = asScalar(node, node.requireInput(7));
  const size_t rank = node.rankOf(node.requireInput(3));
  node.requireInput(4);
  Ref sums = emitConv(node, 0, 2, 3, 5);
  if (node.hasInput(8))
    sums = node.emit(Operator::of(Add{}), {sums, channelParameter(node, 8, 1, rank)});
  node.setOutput(0, emitRequantized(node, sums, asScalar(node, node.requireInput(1)),
                                    channelParameter(node, 4, 1, rank), y, yZero));
}

}  // namespace carnot
