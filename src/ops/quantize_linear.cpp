#include "ops/quantize_linear.h"

#include "base/error.h"
#include "ops/cast.h"
#include "ops/define.h"
#include "ops/onnx_quantize.h"

namespace carnot {

namespace {

// The type that a quotient in `precision` is computed in.
DType wideType(DType precision) { return precision == DType::F64 ? DType::F64 : DType::F32; }

ScalarValue castTo(ScalarBuilder& builder, ScalarValue x, DType to) {
  return x.dtype() == to ? x : builder.cast(x, to);
}

// x / scale, rounded once to `precision`. A quotient of two halves rounds in F32 first without
// harm, F32 having twice their digits and two more.
ScalarValue quotient(ScalarBuilder& builder, ScalarValue x, ScalarValue scale, DType precision) {
  const DType wide = wideType(precision);
  auto operand = [&](ScalarValue value) {
    return castTo(builder, castTo(builder, value, precision), wide);
  };
  const ScalarValue result = operand(x) / operand(scale);
  return precision == wide ? result : operand(result);
}

int64_t leastOf(DType type) { return isSigned(type) ? -(int64_t{1} << (dtypeBits(type) - 1)) : 0; }

int64_t greatestOf(DType type) {
  return (int64_t{1} << (dtypeBits(type) - (isSigned(type) ? 1 : 0))) - 1;
}

}  // namespace

static ScalarValue expression(const QuantizeLinear& op, ScalarBuilder& builder,
                              std::span<const ScalarValue> in) {
  const DType to = in[2].dtype();
  if (!isFloat(op.precision) || dtypeBits(op.precision) < 16)
    throw Error(ErrorCode::InvalidModel, fmt::format("precision {}", dtypeName(op.precision)),
                "float32, float64, float16 or bfloat16");
  if (dtypeBits(to) > 16 || (isFloat(to) && dtypeBits(to) > 8) || to == DType::Bool)
    throw Error(ErrorCode::InvalidModel, fmt::format("a zero point of type {}", dtypeName(to)),
                "an integer of at most 16 bits, or a float of 4 or 8 bits");
  const ScalarValue x = quotient(builder, in[0], in[1], op.precision);
  if (isFloat(to)) {
    const Operator cast = Operator::of(Cast{.to = to, .saturate = op.saturate});
    return cast.definition().expression(cast, builder, {&x, 1});
  }
  ScalarValue level = builder.unary(ScalarOp::RoundEven, x) + builder.cast(in[2], x.dtype());
  level =
      builder.binary(ScalarOp::Max, level, builder.like(level, static_cast<double>(leastOf(to))));
  level = builder.binary(ScalarOp::Min, level,
                         builder.like(level, static_cast<double>(greatestOf(to))));
  return builder.cast(level, to);
}

static ScalarValue expression(const DequantizeLinear& op, ScalarBuilder& builder,
                              std::span<const ScalarValue> in) {
  if (in[0].dtype() != in[2].dtype())
    throw Error(ErrorCode::InvalidModel,
                fmt::format("x of {} and a zero point of {}", dtypeName(in[0].dtype()),
                            dtypeName(in[2].dtype())),
                "one type");
  if (!isFloat(op.to))
    throw Error(ErrorCode::InvalidModel, fmt::format("an output of {}", dtypeName(op.to)),
                "floating point");
  const DType wide = wideType(in[1].dtype());
  auto operand = [&](ScalarValue value) { return castTo(builder, value, wide); };
  return castTo(builder, (operand(in[0]) - operand(in[2])) * operand(in[1]), op.to);
}

template <>
const OpDef& definitionOf<QuantizeLinear>() {
  static const OpDef kRow = definePointwise<QuantizeLinear, 3>(
      "QuantizeLinear", 10,
      {{"", "QuantizeLinear", 10, 0, importQuantizeLinear},
       {"", "DynamicQuantizeLinear", 11, 0, importDynamicQuantizeLinear}});
  return kRow;
}

template <>
const OpDef& definitionOf<DequantizeLinear>() {
  static const OpDef kRow = definePointwise<DequantizeLinear, 3>(
      "DequantizeLinear", 10, {{"", "DequantizeLinear", 10, 0, importDequantizeLinear}});
  return kRow;
}

}  // namespace carnot
