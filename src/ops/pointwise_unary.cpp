#include "ops/pointwise_unary.h"

#include <limits>

#include "ops/define.h"

namespace carnot {

static ScalarValue expression(const Sign&, ScalarBuilder& builder,
                              std::span<const ScalarValue> in) {
  ScalarValue x = in[0], zero = builder.like(x, 0);
  ScalarValue positive = builder.binary(ScalarOp::Less, zero, x);
  // What is neither positive nor negative, a NaN among it, is its own sign.
  ScalarValue result = builder.select(positive, builder.like(x, 1), x);
  if (!isSigned(x.dtype())) return result;
  ScalarValue negative = builder.binary(ScalarOp::Less, x, zero);
  return builder.select(negative, builder.like(x, -1), result);
}

static ScalarValue expression(const NaturalLog&, ScalarBuilder& builder,
                              std::span<const ScalarValue> in) {
  return builder.unary(ScalarOp::Log, in[0]);
}

static ScalarValue expression(const IsInf& op, ScalarBuilder& builder,
                              std::span<const ScalarValue> in) {
  ScalarValue result = builder.constantInt(DType::Bool, 0);
  auto detect = [&](double infinity) {
    ScalarValue equal = builder.binary(ScalarOp::Equal, in[0], builder.like(in[0], infinity));
    result = builder.binary(ScalarOp::Or, equal, result);
  };
  if (op.detectNegative) detect(-std::numeric_limits<double>::infinity());
  if (op.detectPositive) detect(std::numeric_limits<double>::infinity());
  return result;
}

#define CARNOT_UNARY(T, primitive, opset)                          \
  static ScalarValue expression(const T&, ScalarBuilder& builder,  \
                                std::span<const ScalarValue> in) { \
    return builder.unary(ScalarOp::primitive, in[0]);              \
  }
#include "ops/pointwise_unary.inc"
#undef CARNOT_UNARY

template <>
const OpDef& definitionOf<Sign>() {
  static const OpDef kRow = definePointwise<Sign, 1>("Sign", 9);
  return kRow;
}

template <>
const OpDef& definitionOf<NaturalLog>() {
  static const OpDef kRow = definePointwise<NaturalLog, 1>("Log", 1);
  return kRow;
}

template <>
const OpDef& definitionOf<IsInf>() {
  static const OpDef kRow = definePointwise<IsInf, 1>("IsInf", 10);
  return kRow;
}

#define CARNOT_UNARY(T, primitive, opset)                       \
  template <>                                                   \
  const OpDef& definitionOf<T>() {                              \
    static const OpDef kRow = definePointwise<T, 1>(#T, opset); \
    return kRow;                                                \
  }
#include "ops/pointwise_unary.inc"
#undef CARNOT_UNARY

}  // namespace carnot
