#include <cmath>

#include "ops/pointwise_binary.h"
#include "passes/match.h"
#include "passes/passes.h"

namespace carnot {

namespace {

// 1 / value of each element, where every quotient by it is exactly the product: powers of two.
std::optional<Tensor> exactReciprocals(const Tensor& tensor) {
  constexpr int kSafeExponent = 100;
  Tensor result(tensor.dtype(), tensor.dims());
  for (int64_t i = 0; i < tensor.count(); ++i) {
    int exponent = 0;
    const double value = tensor.view().loadDouble(i);
    if (std::abs(std::frexp(value, &exponent)) != 0.5) return std::nullopt;
    const int limit = tensor.dtype() == DType::F16 ? 10 : kSafeExponent;
    if (std::abs(exponent) > limit) return std::nullopt;
    result.view().storeDouble(i, 1 / value);
  }
  return result;
}

Tensor negated(const Tensor& tensor) {
  Tensor result(tensor.dtype(), tensor.dims());
  const TensorView from = tensor.view(), to = result.view();
  for (int64_t i = 0; i < tensor.count(); ++i) {
    if (isFloat(tensor.dtype()))
      to.storeDouble(i, -from.loadDouble(i));
    else
      to.storeInt(i, -from.loadInt(i));
  }
  return result;
}

bool isHalfOrWider(DType type) { return isFloat(type) && dtypeBits(type) >= 16; }

}  // namespace

// Constants stand second; differences from a constant are sums, exact quotients products.
Proposal canonicalOperands(const Graph&, Node* node, const PassOptions&) {
  if (!node->op || node->inputs.size() != 2 || !node->inputs[0] || !node->inputs[1])
    return std::nullopt;
  Value *a = node->inputs[0], *b = node->inputs[1], *output = node->outputs[0];
  const OpDef& definition = node->op.definition();
  if (definition.commutative && a->isConstant() && !b->isConstant()) {
    Patch patch("constant second", node);
    patch.replace(output, patch.add(node->op, {b, a}));
    return patch;
  }
  if (a->isConstant() || !b->isConstant()) return std::nullopt;
  const DType type = b->type.dtype;
  if (node->as<Sub>() && (isHalfOrWider(type) || (isInteger(type) && isSigned(type)))) {
    Patch patch("difference to sum", node);
    patch.replace(output,
                  patch.add(Operator::of(Add{}), {a, patch.constant(negated(*b->constant))}));
    return patch;
  }
  if (node->as<Div>() && isHalfOrWider(type)) {
    std::optional<Tensor> reciprocals = exactReciprocals(*b->constant);
    if (!reciprocals) return std::nullopt;
    Patch patch("quotient to product", node, "by powers of two: exact");
    patch.replace(output,
                  patch.add(Operator::of(Mul{}), {a, patch.constant(std::move(*reciprocals))}));
    return patch;
  }
  return std::nullopt;
}

}  // namespace carnot
