#include "ops/pointwise_binary.h"

#include "base/error.h"
#include "ops/define.h"
#include "ops/onnx_broadcast.h"
#include "ops/onnx_node.h"

namespace carnot {

// The primitive gives its second operand when either is NaN.
static ScalarValue nanOrElse(ScalarBuilder& builder, ScalarOp op, std::span<const ScalarValue> in) {
  ScalarValue value = builder.binary(op, in[0], in[1]);
  if (!isFloat(in[0].dtype())) return value;
  return builder.select(builder.unary(ScalarOp::IsNan, in[0]), in[0], value);
}

static ScalarValue expression(const Min&, ScalarBuilder& builder, std::span<const ScalarValue> in) {
  return nanOrElse(builder, ScalarOp::Min, in);
}

static ScalarValue expression(const Max&, ScalarBuilder& builder, std::span<const ScalarValue> in) {
  return nanOrElse(builder, ScalarOp::Max, in);
}

static ScalarValue expression(const Mod& op, ScalarBuilder& builder,
                              std::span<const ScalarValue> in) {
  return builder.binary(op.fmod ? ScalarOp::TruncMod : ScalarOp::FloorMod, in[0], in[1]);
}

// The type in which base and exponent meet: that of the wider kind, as NumPy promotes.
static DType powType(DType base, DType exponent) {
  if (base == exponent) return base;
  if (isFloat(base) && isFloat(exponent))
    return dtypeBits(exponent) > dtypeBits(base) ? exponent : base;
  if (isFloat(base)) return base;
  if (isFloat(exponent)) return DType::F64;
  return exponent == DType::U64 ? DType::U64 : DType::I64;
}

static ScalarValue expression(const Pow&, ScalarBuilder& builder, std::span<const ScalarValue> in) {
  DType meeting = powType(in[0].dtype(), in[1].dtype());
  auto converted = [&](ScalarValue value) {
    return value.dtype() == meeting ? value : builder.cast(value, meeting);
  };
  ScalarValue power = builder.binary(ScalarOp::Pow, converted(in[0]), converted(in[1]));
  return meeting == in[0].dtype() ? power : builder.cast(power, in[0].dtype());
}

static ScalarValue expression(const BitShift& op, ScalarBuilder& builder,
                              std::span<const ScalarValue> in) {
  return builder.binary(op.left ? ScalarOp::ShiftLeft : ScalarOp::ShiftRight, in[0], in[1]);
}

#define CARNOT_BINARY(T, primitive, commutative, opset)            \
  static ScalarValue expression(const T&, ScalarBuilder& builder,  \
                                std::span<const ScalarValue> in) { \
    return builder.binary(ScalarOp::primitive, in[0], in[1]);      \
  }
#include "ops/pointwise_binary.inc"
#undef CARNOT_BINARY

namespace {

using Ref = OnnxNode::Ref;

template <typename T>
void importBinary(OnnxNode& node) {
  node.setOutput(0, node.emit(Operator::of(T{}), {node.requireInput(0), node.requireInput(1)}));
}

template <typename T>
void importLegacy(OnnxNode& node) {
  Ref b = legacyBroadcastOperand(node);
  node.setOutput(0, node.emit(Operator::of(T{}), {node.requireInput(0), b}));
}

void importBitShift(OnnxNode& node) {
  std::string direction = node.attributeString("direction", "");
  if (direction != "LEFT" && direction != "RIGHT")
    throw Error(ErrorCode::InvalidModel, fmt::format("direction \"{}\"", direction),
                "LEFT or RIGHT");
  Operator op = Operator::of(BitShift{.left = direction == "LEFT"});
  node.setOutput(0, node.emit(op, {node.requireInput(0), node.requireInput(1)}));
}

// One or more inputs, folded from the left.
template <typename T>
void importChain(OnnxNode& node) {
  Ref result = node.requireInput(0);
  for (size_t i = 1; i < node.inputCount(); ++i)
    result = node.emit(Operator::of(T{}), {result, node.requireInput(i)});
  node.setOutput(0, result);
}

template <typename T>
std::vector<OnnxMapping> mappings(std::string_view type, int sinceOpset) {
  if (sinceOpset >= 7) return {{"", type, sinceOpset, 0, importBinary<T>}};
  return {{"", type, 7, 0, importBinary<T>}, {"", type, sinceOpset, 6, importLegacy<T>}};
}

OpDef commutative(OpDef row) {
  row.commutative = true;
  return row;
}

}  // namespace

template <>
const OpDef& definitionOf<Min>() {
  static const OpDef kRow =
      commutative(definePointwise<Min, 2>("Min", 1, {{"", "Min", 1, 0, importChain<Min>}}));
  return kRow;
}

template <>
const OpDef& definitionOf<Max>() {
  static const OpDef kRow =
      commutative(definePointwise<Max, 2>("Max", 1, {{"", "Max", 1, 0, importChain<Max>}}));
  return kRow;
}

template <>
const OpDef& definitionOf<Mod>() {
  static const OpDef kRow = definePointwise<Mod, 2>("Mod", 10);
  return kRow;
}

template <>
const OpDef& definitionOf<Pow>() {
  static const OpDef kRow = definePointwise<Pow, 2>("Pow", 1, mappings<Pow>("Pow", 1));
  return kRow;
}

template <>
const OpDef& definitionOf<BitShift>() {
  static const OpDef kRow =
      definePointwise<BitShift, 2>("BitShift", 11, {{"", "BitShift", 11, 0, importBitShift}});
  return kRow;
}

#define CARNOT_BINARY(T, primitive, isCommutative, opset)                   \
  template <>                                                               \
  const OpDef& definitionOf<T>() {                                          \
    static const OpDef kRow = [] {                                          \
      OpDef row = definePointwise<T, 2>(#T, opset, mappings<T>(#T, opset)); \
      row.commutative = isCommutative;                                      \
      return row;                                                           \
    }();                                                                    \
    return kRow;                                                            \
  }
#include "ops/pointwise_binary.inc"
#undef CARNOT_BINARY

}  // namespace carnot
