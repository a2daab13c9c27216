#include "ops/scalar.h"

namespace carnot {

namespace {

using Known = std::optional<Dim>;

Dim::Range rangeOf(const Dim& dim) {
  return dim.range([](const std::string&) { return Dim::Range{0, std::nullopt}; });
}
bool atLeast(const Dim& dim, int64_t bound) {
  auto low = rangeOf(dim).low;
  return low && *low >= bound;
}
bool atMost(const Dim& dim, int64_t bound) {
  auto high = rangeOf(dim).high;
  return high && *high <= bound;
}

// Whether a dim holds true; nullopt when symbols decide.
std::optional<bool> truth(const Dim& dim) {
  if (auto value = dim.tryConstant()) return *value != 0;
  if (compare(dim, Dim(0)) == Equality::No) return true;
  return std::nullopt;
}

Known boolean(std::optional<bool> value) {
  if (!value) return std::nullopt;
  return Dim(*value ? 1 : 0);
}

std::optional<bool> lessThan(const Dim& a, const Dim& b) {
  if (atLeast(b - a, 1)) return true;
  if (atMost(b - a, 0)) return false;
  return std::nullopt;
}

std::optional<bool> equal(const Dim& a, const Dim& b) {
  switch (compare(a, b)) {
    case Equality::Yes:
      return true;
    case Equality::No:
      return false;
    case Equality::Unknown:
      break;
  }
  if (atLeast(a - b, 1) || atLeast(b - a, 1)) return false;
  return std::nullopt;
}

std::optional<bool> negated(std::optional<bool> value) {
  if (value) value = !*value;
  return value;
}

bool isHeldType(DType type) { return isInteger(type) || type == DType::Bool; }

// Constants alone: the interpreter knows every rule of integer arithmetic.
Known throughInterpreter(const ScalarNode& node, std::span<const ScalarNode> nodes,
                         std::span<const Known> values) {
  ScalarProgram one;
  std::vector<ScalarNumber> operands;
  ScalarNode last = node;
  for (int arg = 0; arg < scalarArity(node.op); ++arg) {
    const Known& value = values[node.args[arg]];
    if (!value || !value->isConstant()) return std::nullopt;
    operands.emplace_back(value->constant());
    ScalarNode input{.op = ScalarOp::Input, .dtype = nodes[node.args[arg]].dtype};
    input.index = static_cast<uint16_t>(arg);
    one.nodes.push_back(input);
    last.args[arg] = static_cast<uint16_t>(arg);
  }
  one.outputs.push_back(static_cast<uint16_t>(one.nodes.size()));
  one.nodes.push_back(last);
  ScalarNumber result;
  evaluateScalar(one, operands, {&result, 1});
  return Dim(std::get<int64_t>(result));
}

Known symbolic(const ScalarNode& node, const Known& x, const Known& y, const Known& z) {
  // One known operand may decide where the other is unknown.
  if (node.op == ScalarOp::And || node.op == ScalarOp::Or) {
    bool decisive = node.op == ScalarOp::Or;
    for (const Known* side : {&x, &y})
      if (*side && truth(**side) == decisive) return Dim(decisive ? 1 : 0);
    if (!x || !y) return std::nullopt;
    auto a = truth(*x), b = truth(*y);
    return a && b ? boolean(!decisive) : std::nullopt;
  }
  if (node.op == ScalarOp::Select) {
    if (y && z && *y == *z) return y;
    auto chosen = x ? truth(*x) : std::nullopt;
    if (!chosen) return std::nullopt;
    return *chosen ? y : z;
  }
  if (!x || (scalarArity(node.op) > 1 && !y) || (scalarArity(node.op) > 2 && !z))
    return std::nullopt;
  const Dim& a = *x;
  switch (node.op) {
    case ScalarOp::Add:
      return a + *y;
    case ScalarOp::Sub:
      return a - *y;
    case ScalarOp::Mul:
      return a * *y;
    case ScalarOp::Fma:
      return a * *y + *z;
    case ScalarOp::Neg:
      return -a;
    case ScalarOp::Abs:
      if (atLeast(a, 0)) return a;
      return atMost(a, 0) ? Known(-a) : std::nullopt;
    case ScalarOp::Div:  // truncation is floor where the quotient is not negative
      if (*y == Dim(1)) return a;
      if (atLeast(a, 0) && atLeast(*y, 1)) return floorDiv(a, *y);
      if (atMost(a, 0) && atLeast(*y, 1)) return -floorDiv(-a, *y);
      return std::nullopt;
    case ScalarOp::FloorMod:
      return atLeast(*y, 1) ? Known(floorMod(a, *y)) : std::nullopt;
    case ScalarOp::TruncMod:
      return atLeast(a, 0) && atLeast(*y, 1) ? Known(floorMod(a, *y)) : std::nullopt;
    case ScalarOp::Min:
      return min(a, *y);
    case ScalarOp::Max:
      return max(a, *y);
    case ScalarOp::Equal:
      return boolean(equal(a, *y));
    case ScalarOp::Less:
      return boolean(lessThan(a, *y));
    case ScalarOp::LessEqual:
      return boolean(negated(lessThan(*y, a)));
    case ScalarOp::Not:
      return boolean(negated(truth(a)));
    case ScalarOp::Cast:  // a dim fits any integer type that a shape is computed in
      if (node.dtype == DType::Bool) return boolean(truth(a));
      return dtypeBits(node.dtype) >= 32 ? x : std::nullopt;
    default:
      return std::nullopt;
  }
}

}  // namespace

std::optional<Dim> evaluateScalar(const ScalarProgram& program, std::span<const Dim> operands) {
  std::vector<Known> values;
  values.reserve(program.nodes.size());
  for (const ScalarNode& node : program.nodes) {
    Known value;
    if (!isHeldType(node.dtype)) {
      // Left unknown: expressions are integers.
    } else if (node.op == ScalarOp::Input) {
      value = operands[node.index];
    } else if (node.op == ScalarOp::Constant) {
      value = Dim(std::get<int64_t>(node.value));
    } else {
      value = throughInterpreter(node, program.nodes, values);
      const Known none;
      auto operand = [&](int arg) -> const Known& {
        return arg < scalarArity(node.op) ? values[node.args[arg]] : none;
      };
      if (!value) value = symbolic(node, operand(0), operand(1), operand(2));
    }
    values.push_back(std::move(value));
  }
  return values[program.outputs[0]];
}

}  // namespace carnot
