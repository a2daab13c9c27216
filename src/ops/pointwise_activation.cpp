#include "ops/pointwise_activation.h"

#include <numbers>

#include "base/error.h"
#include "ops/define.h"
#include "ops/onnx_axes.h"
#include "ops/onnx_node.h"
#include "ops/onnx_swish.h"
#include "ops/pointwise_binary.h"
#include "ops/pointwise_unary.h"

namespace carnot {

using Inputs = std::span<const ScalarValue>;

static ScalarValue isBelow(ScalarBuilder& builder, ScalarValue x, double bound) {
  return builder.binary(ScalarOp::Less, x, builder.like(x, bound));
}

// Primitives with the constant first give x when x is a NaN.
static ScalarValue atLeast(ScalarBuilder& builder, double bound, ScalarValue x) {
  return builder.binary(ScalarOp::Max, builder.like(x, bound), x);
}
static ScalarValue atMost(ScalarBuilder& builder, double bound, ScalarValue x) {
  return builder.binary(ScalarOp::Min, builder.like(x, bound), x);
}

static ScalarValue softplus(ScalarBuilder& builder, ScalarValue x) {
  ScalarValue small = builder.unary(ScalarOp::Neg, builder.unary(ScalarOp::Abs, x));
  ScalarValue tail = builder.unary(ScalarOp::Log, builder.unary(ScalarOp::Exp, small) + 1);
  return atLeast(builder, 0, x) + tail;
}

static ScalarValue expression(const Relu&, ScalarBuilder& builder, Inputs in) {
  return atLeast(builder, 0, in[0]);
}

static ScalarValue expression(const LeakyRelu& op, ScalarBuilder& builder, Inputs in) {
  return builder.select(isBelow(builder, in[0], 0), in[0] * op.alpha, in[0]);
}

static ScalarValue expression(const PRelu&, ScalarBuilder& builder, Inputs in) {
  return builder.select(isBelow(builder, in[0], 0), in[0] * in[1], in[0]);
}

static ScalarValue expression(const ThresholdedRelu& op, ScalarBuilder& builder, Inputs in) {
  ScalarValue above = builder.binary(ScalarOp::Less, builder.like(in[0], op.alpha), in[0]);
  return builder.select(above, in[0], builder.like(in[0], 0));
}

static ScalarValue expression(const Elu& op, ScalarBuilder& builder, Inputs in) {
  ScalarValue below = (builder.unary(ScalarOp::Exp, in[0]) - 1) * op.alpha;
  return builder.select(isBelow(builder, in[0], 0), below, in[0]);
}

static ScalarValue expression(const Selu& op, ScalarBuilder& builder, Inputs in) {
  ScalarValue below = (builder.unary(ScalarOp::Exp, in[0]) - 1) * (op.alpha * op.gamma);
  return builder.select(isBelow(builder, in[0], 0), below, in[0] * op.gamma);
}

static ScalarValue expression(const Celu& op, ScalarBuilder& builder, Inputs in) {
  ScalarValue below = (builder.unary(ScalarOp::Exp, in[0] * (1 / op.alpha)) - 1) * op.alpha;
  return builder.select(isBelow(builder, in[0], 0), below, in[0]);
}

static ScalarValue expression(const HardSigmoid& op, ScalarBuilder& builder, Inputs in) {
  ScalarValue line =
      builder.fma(in[0], builder.like(in[0], op.alpha), builder.like(in[0], op.beta));
  return atMost(builder, 1, atLeast(builder, 0, line));
}

static ScalarValue expression(const HardSwish&, ScalarBuilder& builder, Inputs in) {
  return in[0] * expression(HardSigmoid{.alpha = 1.0 / 6, .beta = 0.5}, builder, in);
}

static ScalarValue expression(const Gelu& op, ScalarBuilder& builder, Inputs in) {
  ScalarValue x = in[0];
  if (op.approximate == "none") {
    ScalarValue erf = builder.unary(ScalarOp::Erf, x * (1 / std::numbers::sqrt2));
    return x * 0.5 * (erf + 1);
  }
  if (op.approximate == "tanh") {
    double scale = std::numbers::sqrt2 * std::numbers::inv_sqrtpi;
    ScalarValue inner = builder.fma(x * x * x, builder.like(x, 0.044715), x);
    return x * 0.5 * (builder.unary(ScalarOp::Tanh, inner * scale) + 1);
  }
  throw Error(ErrorCode::InvalidModel, fmt::format("approximate = \"{}\"", op.approximate),
              "none or tanh");
}

static ScalarValue expression(const Silu&, ScalarBuilder& builder, Inputs in) {
  return in[0] * builder.unary(ScalarOp::Sigmoid, in[0]);
}

static ScalarValue expression(const Softplus&, ScalarBuilder& builder, Inputs in) {
  return softplus(builder, in[0]);
}

static ScalarValue expression(const Softsign&, ScalarBuilder& builder, Inputs in) {
  return in[0] / (builder.unary(ScalarOp::Abs, in[0]) + 1);
}

static ScalarValue expression(const Mish&, ScalarBuilder& builder, Inputs in) {
  return in[0] * builder.unary(ScalarOp::Tanh, softplus(builder, in[0]));
}

OnnxNode::Ref emitSwish(OnnxNode& node, OnnxNode::Ref x, double alpha) {
  if (alpha == 1) return node.emit(Operator::of(Silu{}), {x});
  auto scaled = node.emit(Operator::of(Mul{}), {x, node.scalar(node.dtypeOf(x), alpha)});
  auto gate = node.emit(Operator::of(Sigmoid{}), {scaled});
  return node.emit(Operator::of(Mul{}), {x, gate});
}

namespace {

using Ref = OnnxNode::Ref;

void importPRelu(OnnxNode& node) {
  Ref x = node.requireInput(0), slope = node.requireInput(1);
  // Before opset 7 a slope of one dim goes along the channels.
  if (node.opset() < 7 && node.rankOf(slope) == 1 && node.rankOf(x) > 2 &&
      node.shapeOf(slope)[0] != Dim(1)) {
    Shape shape = node.shapeOf(slope);
    for (size_t axis = 2; axis < node.rankOf(x); ++axis) shape.push(1);
    slope = emitReshape(node, slope, shape);
  }
  node.setOutput(0, node.emit(Operator::of(PRelu{}), {x, slope}));
}

void importLegacySelu(OnnxNode& node) {
  Selu op{.alpha = node.attributeFloat("alpha", 1.6732),
          .gamma = node.attributeFloat("gamma", 1.0507)};
  node.setOutput(0, node.emit(Operator::of(op), {node.requireInput(0)}));
}

std::vector<OnnxMapping> seluMappings() {
  auto import = [](OnnxNode& node) { importByFields(definitionOf<Selu>(), node); };
  return {{"", "Selu", 6, 0, import}, {"", "Selu", 1, 5, importLegacySelu}};
}

void importSwish(OnnxNode& node) {
  node.setOutput(0, emitSwish(node, node.requireInput(0), node.attributeFloat("alpha", 1)));
}

}  // namespace

#define CARNOT_ACTIVATION(T, inputs, ...)                                  \
  template <>                                                              \
  const OpDef& definitionOf<T>() {                                         \
    static const OpDef kRow = definePointwise<T, inputs>(#T, __VA_ARGS__); \
    return kRow;                                                           \
  }
CARNOT_ACTIVATION(Relu, 1, 1)
CARNOT_ACTIVATION(LeakyRelu, 1, 1)
CARNOT_ACTIVATION(PRelu, 2, 1, {{"", "PRelu", 1, 0, importPRelu}})
CARNOT_ACTIVATION(ThresholdedRelu, 1, 10)
CARNOT_ACTIVATION(Elu, 1, 1)
CARNOT_ACTIVATION(Selu, 1, 6, seluMappings())
CARNOT_ACTIVATION(Celu, 1, 12)
CARNOT_ACTIVATION(HardSigmoid, 1, 1)
CARNOT_ACTIVATION(HardSwish, 1, 14)
CARNOT_ACTIVATION(Gelu, 1, 20)
CARNOT_ACTIVATION(Silu, 1, 24, {{"", "Swish", 24, 0, importSwish}})
CARNOT_ACTIVATION(Softplus, 1, 1)
CARNOT_ACTIVATION(Softsign, 1, 1)
CARNOT_ACTIVATION(Mish, 1, 18)
#undef CARNOT_ACTIVATION

}  // namespace carnot
