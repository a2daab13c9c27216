#include "ops/cast.h"

#include <cstring>
#include <limits>

#include "base/error.h"
#include "ops/define.h"
#include "ops/onnx_node.h"

namespace carnot {

namespace {

// From where on a float of 8 bits has no finite value: the tie above its largest is out of range
// where the largest is odd.
struct Limit {
  double bound;
  bool boundItself;
  double beyond;
};

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

std::optional<Limit> limitOf(DType type) {
  switch (type) {
    case DType::F8E4M3FN:
      return Limit{464, false, kNaN};
    case DType::F8E4M3FNUZ:
      return Limit{248, true, kNaN};
    case DType::F8E5M2:
      return Limit{61440, true, kInfinity};
    case DType::F8E5M2FNUZ:
      return Limit{61440, true, kNaN};
    default:
      return std::nullopt;
  }
}

// A float of 8 bits that does not saturate; x is a float.
ScalarValue unsaturated(ScalarBuilder& builder, ScalarValue x, DType to, const Limit& limit) {
  ScalarValue size = builder.unary(ScalarOp::Abs, x);
  ScalarOp order = limit.boundItself ? ScalarOp::LessEqual : ScalarOp::Less;
  ScalarValue outside = builder.binary(order, builder.like(x, limit.bound), size);
  ScalarValue negative = builder.binary(ScalarOp::Less, x, builder.like(x, 0));
  ScalarValue beyond = builder.select(negative, builder.constant(to, -limit.beyond),
                                      builder.constant(to, limit.beyond));
  return builder.select(outside, beyond, builder.cast(x, to));
}

// A power of two, rounded in the exponent of an F64 by carrying out of its mantissa.
ScalarValue toPowerOfTwo(ScalarBuilder& builder, ScalarValue x, const Cast& op) {
  constexpr int64_t kMantissa = (int64_t{1} << 52) - 1;
  int64_t carry = 0;
  if (op.roundMode == "up") carry = kMantissa;
  if (op.roundMode == "nearest") carry = int64_t{1} << 51;
  ScalarValue bits = builder.bitcast(builder.cast(x, DType::F64), DType::I64);
  bits = bits + builder.constantInt(DType::I64, carry);
  bits = builder.binary(ScalarOp::BitAnd, bits, builder.constantInt(DType::I64, ~kMantissa));
  ScalarValue power = builder.bitcast(bits, DType::F64);
  // Infinities and NaNs have no exponent to round.
  ScalarValue wide = builder.cast(x, DType::F64);
  ScalarValue finite =
      builder.binary(ScalarOp::Less, wide, builder.constant(DType::F64, kInfinity));
  power = builder.select(finite, power, wide);
  ScalarValue result = builder.cast(power, DType::F8E8M0);
  if (op.saturate) return result;
  auto below = builder.binary(ScalarOp::Less, power, builder.constant(DType::F64, 0x1p-127));
  auto above = builder.binary(ScalarOp::Less, builder.constant(DType::F64, 0x1p127), power);
  return builder.select(builder.binary(ScalarOp::Or, below, above),
                        builder.constant(DType::F8E8M0, kNaN), result);
}

}  // namespace

static ScalarValue expression(const Cast& op, ScalarBuilder& builder,
                              std::span<const ScalarValue> in) {
  ScalarValue x = in[0];
  if (op.roundMode != "up" && op.roundMode != "down" && op.roundMode != "nearest")
    throw Error(ErrorCode::InvalidModel, fmt::format("round_mode \"{}\"", op.roundMode),
                "up, down or nearest");
  if (x.dtype() == op.to) return x;
  bool plain = op.saturate && op.roundMode == "up";
  if (op.to == DType::F8E8M0 && !plain) return toPowerOfTwo(builder, x, op);
  auto limit = limitOf(op.to);
  if (!limit || op.saturate) return builder.cast(x, op.to);
  if (!isFloat(x.dtype())) x = builder.cast(x, DType::F64);
  return unsaturated(builder, x, op.to, *limit);
}

static void infer(const BitCast& op, InferContext& context) {
  context.require(dtypeBits(op.to) == dtypeBits(context.dtype(0)),
                  fmt::format("{} and {}", dtypeName(context.dtype(0)), dtypeName(op.to)),
                  "types of the same width");
  context.setOutput(0, op.to, context.shape(0));
}

static void reference(const BitCast&, const ReferenceContext& context) {
  if (context.out(0).bytes() > 0)
    std::memcpy(context.out(0).data, context.in(0).data, context.out(0).bytes());
}

static Cost cost(const BitCast&, const CostContext& context) {
  return {.flops = 0, .bytes = context.allBytes()};
}

namespace {

using Ref = OnnxNode::Ref;

void importCast(OnnxNode& node, DType to) {
  Ref x = node.requireInput(0);
  Cast op{.to = to,
          .saturate = node.attributeInt("saturate", 1) != 0,
          .roundMode = node.attributeString("round_mode", "up")};
  node.setOutput(0, node.dtypeOf(x) == to ? x : node.emit(Operator::of(op), {x}));
}

void importCastTo(OnnxNode& node) {
  if (!node.hasAttribute("to"))
    throw Error(ErrorCode::InvalidModel, "attribute \"to\" is absent", "that attribute");
  importCast(node, node.attributeDType("to", DType::F32));
}

void importCastLike(OnnxNode& node) { importCast(node, node.dtypeOf(node.requireInput(1))); }

}  // namespace

template <>
const OpDef& definitionOf<Cast>() {
  static const OpDef kRow = definePointwise<Cast, 1>(
      "Cast", 1, {{"", "Cast", 1, 0, importCastTo}, {"", "CastLike", 15, 0, importCastLike}});
  return kRow;
}

template <>
const OpDef& definitionOf<BitCast>() {
  static const OpDef kRow = defineOperator<BitCast>(
      "BitCast", Access::Opaque, {{"", "BitCast", 26, 0, [](OnnxNode& node) {
                                     importByFields(definitionOf<BitCast>(), node);
                                   }}});
  return kRow;
}

}  // namespace carnot
