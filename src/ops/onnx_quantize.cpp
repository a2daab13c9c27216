#include "ops/onnx_quantize.h"

#include <numeric>

#include "base/error.h"
#include "ops/expand.h"
#include "ops/onnx_axes.h"
#include "ops/onnx_broadcast.h"
#include "ops/pointwise_binary.h"
#include "ops/quantize_linear.h"
#include "ops/reduce.h"
#include "ops/where.h"

namespace carnot {

namespace {

using Ref = OnnxNode::Ref;

// Which elements of x share a scale.
struct Granularity {
  int64_t axis = 1;
  int64_t block = 0;  // elements along the axis; 0: all
};

[[noreturn]] void mismatch(const Shape& parameter, const Shape& x, std::string needs) {
  throw Error(ErrorCode::InvalidModel,
              fmt::format("a scale or zero point {} for {}", parameter.toString(), x.toString()),
              std::move(needs));
}

// A scale or zero point of one element for each block, repeated over the block.
Ref repeated(OnnxNode& node, Ref parameter, const Shape& x, size_t axis, int64_t block) {
  const Shape blocks = node.shapeOf(parameter);
  if (blocks.rank() != x.rank()) mismatch(blocks, x, "the rank of x, by blocks");
  const Dim extent = x[axis];
  if (compare(blocks[axis], ceilDiv(extent, Dim(block))) == Equality::No)
    mismatch(blocks, x, fmt::format("a scale for every {} elements of axis {}", block, axis));
  Shape split, wide, joined = blocks;
  for (size_t i = 0; i < blocks.rank(); ++i) {
    split.push(blocks[i]);
    wide.push(blocks[i]);
    if (i != axis) continue;
    split.push(1);
    wide.push(block);
  }
  joined[axis] = blocks[axis] * Dim(block);
  parameter = emitReshape(node, parameter, split);
  parameter = node.emit(Operator::of(Expand{wide}), {parameter});
  parameter = emitReshape(node, parameter, joined);
  if (compare(joined[axis], extent) == Equality::Yes) return parameter;
  if (!extent.tryConstant())
    node.unsupported(
        fmt::format("blocks of {} along an axis of extent {}", block, extent.toString()),
        "an extent that blocks fill, or a constant one");
  return emitSlice(node, parameter, static_cast<int64_t>(axis), 0, extent.constant());
}

// A scale or zero point in a shape that broadcasts to x.
Ref spread(OnnxNode& node, Ref parameter, const Shape& x, const Granularity& grain) {
  const Shape& shape = node.shapeOf(parameter);
  if (shape.rank() == 0) return parameter;
  if (grain.block == 0 && shape.rank() == 1 && shape[0] == Dim(1)) return asScalar(node, parameter);
  const size_t axis = normalizeAxis(grain.axis, x.rank());
  if (grain.block > 0) return repeated(node, parameter, x, axis, grain.block);
  if (shape.rank() != 1) mismatch(shape, x, "a scalar, or a value for each index of an axis");
  if (compare(shape[0], x[axis]) == Equality::No)
    mismatch(shape, x, fmt::format("{} values, for axis {}", x[axis].toString(), axis));
  Shape along(std::vector<Dim>(x.rank(), Dim(1)));
  along[axis] = shape[0];
  return emitReshape(node, parameter, along);
}

Granularity grainOf(const OnnxNode& node) {
  const Granularity grain{.axis = node.attributeInt("axis", 1),
                          .block = node.attributeInt("block_size", 0)};
  if (grain.block < 0)
    throw Error(ErrorCode::InvalidModel, fmt::format("block_size {}", grain.block), "0 or more");
  return grain;
}

// A type attribute whose 0 says no more than its absence.
DType typeOr(const OnnxNode& node, std::string_view name, DType fallback) {
  return node.attributeInt(name, 0) == 0 ? fallback : node.attributeDType(name, fallback);
}

}  // namespace

void importQuantizeLinear(OnnxNode& node) {
  const Ref x = node.requireInput(0), scale = node.requireInput(1);
  const Granularity grain = grainOf(node);
  const Shape shape = node.shapeOf(x);
  Ref zeroPoint = node.input(2);
  const DType to = typeOr(node, "output_dtype", zeroPoint ? node.dtypeOf(zeroPoint) : DType::U8);
  if (!zeroPoint) zeroPoint = node.scalar(to, 0);
  if (node.dtypeOf(zeroPoint) != to)
    throw Error(ErrorCode::InvalidModel,
                fmt::format("output_dtype {} and a zero point of {}", dtypeName(to),
                            dtypeName(node.dtypeOf(zeroPoint))),
                "one type");
  // Scales of integers divide as real numbers, and those that are powers of two in x's type.
  DType precision = node.dtypeOf(scale);
  if (!isFloat(precision)) precision = DType::F64;
  if (precision == DType::F8E8M0)
    precision = isFloat(node.dtypeOf(x)) ? node.dtypeOf(x) : DType::F32;
  const QuantizeLinear op{.precision = typeOr(node, "precision", precision),
                          .saturate = node.attributeInt("saturate", 1) != 0};
  node.setOutput(0, node.emit(Operator::of(op), {x, spread(node, scale, shape, grain),
                                                 spread(node, zeroPoint, shape, grain)}));
}

void importDequantizeLinear(OnnxNode& node) {
  const Ref x = node.requireInput(0), scale = node.requireInput(1);
  const Granularity grain = grainOf(node);
  const Shape shape = node.shapeOf(x);
  const Ref zeroPoint = node.hasInput(2) ? node.input(2) : scalarLike(node, x, 0);
  const DequantizeLinear op{.to = typeOr(node, "output_dtype", node.dtypeOf(scale))};
  node.setOutput(0, node.emit(Operator::of(op), {x, spread(node, scale, shape, grain),
                                                 spread(node, zeroPoint, shape, grain)}));
}

void importDynamicQuantizeLinear(OnnxNode& node) {
  const Ref x = node.requireInput(0);
  std::vector<int64_t> axes(node.rankOf(x));
  std::iota(axes.begin(), axes.end(), 0);
  const Ref zero = scalarLike(node, x, 0);
  const Ref high =
      node.emit(Operator::of(Max{}),
                {zero, node.emit(Operator::of(Reduce{ReduceKind::Max, axes, false}), {x})});
  const Ref low =
      node.emit(Operator::of(Min{}),
                {zero, node.emit(Operator::of(Reduce{ReduceKind::Min, axes, false}), {x})});
  const Ref levels = scalarLike(node, x, 255);
  const Ref range = node.emit(Operator::of(Sub{}), {high, low});
  // Zeros alone have scale 1, as onnxruntime gives.
  const Ref scale =
      node.emit(Operator::of(Where{}),
                {node.emit(Operator::of(Equal{}), {range, zero}), scalarLike(node, x, 1),
                 node.emit(Operator::of(Div{}), {range, levels})});
  const Ref lowest = node.emit(Operator::of(Sub{}), {zero, low});
  const Operator quantize = Operator::of(QuantizeLinear{.precision = node.dtypeOf(x)});
  const Ref zeroPoint = node.emit(quantize, {lowest, scale, node.scalar(DType::U8, 0)});
  node.setOutput(0, node.emit(quantize, {x, scale, zeroPoint}));
  node.setOutput(1, scale);
  node.setOutput(2, zeroPoint);
}

}  // namespace carnot
