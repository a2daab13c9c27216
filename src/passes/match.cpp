#include "passes/match.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "ops/expand.h"
#include "ops/reshape.h"

namespace carnot {

namespace {
constexpr int64_t kUniformElements = 1 << 16;
constexpr double kLiteralTolerance = 1e-4;

double loadNumber(const TensorView& view, int64_t i) {
  return isFloat(view.dtype) ? view.loadDouble(i) : static_cast<double>(view.loadInt(i));
}
}  // namespace

std::optional<double> scalarOf(const Value* value) {
  if (!value || !value->constant || value->constant->count() != 1) return std::nullopt;
  if (isComplex(value->type.dtype)) return std::nullopt;
  return loadNumber(value->constant->view(), 0);
}

std::optional<double> uniformOf(const Value* value) {
  while (value && (producerAs<Expand>(value) || producerAs<Reshape>(value)))
    value = value->producer->inputs[0];
  if (!value || !value->constant || isComplex(value->type.dtype)) return std::nullopt;
  const int64_t count = value->constant->count();
  if (count == 0 || count > kUniformElements) return std::nullopt;
  const TensorView view = value->constant->view();
  const double first = loadNumber(view, 0);
  for (int64_t i = 1; i < count; ++i)
    if (loadNumber(view, i) != first) return std::nullopt;
  return first;
}

bool isNear(double a, double b) {
  return a == b || std::abs(a - b) <= kLiteralTolerance * std::max(std::abs(a), std::abs(b));
}

bool usedOnce(const Graph& graph, const Value* value) {
  return value && value->consumers.size() == 1 && !graph.isOutput(value);
}

WithConstant withConstant(const Node* node) {
  if (node->inputs.size() != 2 || !node->inputs[0] || !node->inputs[1]) return {};
  for (size_t i = 0; i < 2; ++i)
    if (node->inputs[i]->isConstant() && !node->inputs[1 - i]->isConstant())
      return {node->inputs[1 - i], node->inputs[i]};
  return {};
}

std::optional<std::vector<TensorType>> inferredTypes(const Operator& op,
                                                     std::span<const InferContext::Input> inputs,
                                                     size_t outputs) {
  InferContext context;
  context.inputs = inputs;
  context.outputs.resize(outputs);
  bool dependsOnData = false;
  context.freshSymbol = [&](std::string_view, const Dim& upper) {
    dependsOnData = true;
    return upper;
  };
  try {
    op.definition().infer(op, context);
  } catch (const Error&) {
    return std::nullopt;
  }
  if (dependsOnData || !context.guards.empty()) return std::nullopt;
  std::vector<TensorType> types;
  types.reserve(outputs);
  for (auto& output : context.outputs) types.push_back(std::move(output.type));
  return types;
}

bool givesType(const Operator& op, const std::vector<Value*>& inputs, const Value* value) {
  Node probe;
  probe.inputs = inputs;
  std::optional<std::vector<TensorType>> types = inferredTypes(op, probe.inferInputs());
  return types && types->front() == value->type;
}

bool isPointwise(const Node* node) {
  return node->op && node->op.definition().access == Access::Pointwise;
}

}  // namespace carnot
