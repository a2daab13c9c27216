#include "frontend/onnx/condition.h"

#include "ops/cast.h"
#include "ops/pointwise_binary.h"
#include "ops/pointwise_unary.h"
#include "ops/reshape.h"

namespace carnot::onnx {

namespace {

Dim distance(const Dim& a, const Dim& b) { return max(a - b, b - a); }
Dim isPositive(const Dim& value) { return min(Dim(1), max(Dim(0), value)); }
Dim differ(const Dim& a, const Dim& b) { return min(Dim(1), distance(a, b)); }

const Operator* operatorOf(const Value* value) {
  const Node* node = value->producer;
  return node && node->op && node->outputs.size() == 1 ? &node->op : nullptr;
}

// Of a tensor of one element that is an integer or a Bool.
std::optional<Dim> numberOf(const Value* value) {
  if (value->contents && value->contents->size() == 1) return value->contents->front();
  const Operator* op = operatorOf(value);
  if (!op) return std::nullopt;
  const std::vector<Value*>& inputs = value->producer->inputs;
  std::optional<Dim> a = inputs[0] ? numberOf(inputs[0]) : std::nullopt;
  if (!a) return std::nullopt;
  if (op->is<Reshape>()) return a;
  if (op->is<Not>()) return Dim(1) - *a;
  if (const Cast* cast = op->as<Cast>()) {
    if (cast->to == DType::Bool) return differ(*a, Dim(0));
    return isInteger(cast->to) ? a : std::nullopt;
  }
  if (inputs.size() != 2 || !inputs[1]) return std::nullopt;
  std::optional<Dim> b = numberOf(inputs[1]);
  if (!b) return std::nullopt;
  if (op->is<Equal>()) return Dim(1) - differ(*a, *b);
  if (op->is<Less>()) return isPositive(*b - *a);
  if (op->is<LessOrEqual>()) return isPositive(*b - *a + Dim(1));
  if (op->is<And>()) return *a * *b;
  if (op->is<Or>()) return max(*a, *b);
  return std::nullopt;
}

}  // namespace

std::optional<Dim> truthOf(const Value* condition) {
  if (condition->type.dtype != DType::Bool) return std::nullopt;
  return numberOf(condition);
}

Guard guardOf(const Value* condition, bool holds, std::string what) {
  // An equality says more as one.
  const Value* at = condition;
  bool wanted = holds;
  for (const Operator* op = operatorOf(at); op; op = operatorOf(at)) {
    const std::vector<Value*>& inputs = at->producer->inputs;
    const bool isSame = op->is<Reshape>() || op->is<Cast>();
    if (op->is<Equal>() && wanted) {
      auto a = numberOf(inputs[0]), b = numberOf(inputs[1]);
      if (a && b) return {*a, *b, std::move(what)};
    }
    if (!isSame && !op->is<Not>()) break;
    if (op->is<Not>()) wanted = !wanted;
    at = inputs[0];
  }
  return {truthOf(condition).value(), Dim(holds ? 1 : 0), std::move(what)};
}

std::optional<bool> decidedBy(const std::vector<Guard>& guards, const Value* condition) {
  if (!truthOf(condition)) return std::nullopt;
  for (bool holds : {true, false}) {
    const Guard wanted = guardOf(condition, holds, {});
    for (const Guard& guard : guards)
      if (guard.a == wanted.a && guard.b == wanted.b) return holds;
  }
  return std::nullopt;
}

}  // namespace carnot::onnx
