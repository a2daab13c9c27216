#include "ops/scalar.h"

#include <algorithm>
#include <bit>
#include <limits>

#include "base/convert.h"
#include "base/error.h"

namespace carnot {

namespace {

// What an operation takes.
enum class Takes : uint8_t { Anything, Numbers, Integers, Floats, Bools };

struct Row {
  ScalarOp op;
  const char* name;
  int arity;
  Takes takes;
};

constexpr Row kRows[] = {
    {ScalarOp::Input, "input", 0, Takes::Anything},
    {ScalarOp::Constant, "constant", 0, Takes::Anything},
    {ScalarOp::Add, "add", 2, Takes::Numbers},
    {ScalarOp::Sub, "sub", 2, Takes::Numbers},
    {ScalarOp::Mul, "mul", 2, Takes::Numbers},
    {ScalarOp::Div, "div", 2, Takes::Numbers},
    {ScalarOp::Fma, "fma", 3, Takes::Numbers},
    {ScalarOp::FloorMod, "floor_mod", 2, Takes::Numbers},
    {ScalarOp::TruncMod, "trunc_mod", 2, Takes::Numbers},
    {ScalarOp::Pow, "pow", 2, Takes::Numbers},
    {ScalarOp::Min, "min", 2, Takes::Numbers},
    {ScalarOp::Max, "max", 2, Takes::Numbers},
    {ScalarOp::Neg, "neg", 1, Takes::Numbers},
    {ScalarOp::Abs, "abs", 1, Takes::Numbers},
    {ScalarOp::Sqrt, "sqrt", 1, Takes::Floats},
    {ScalarOp::Reciprocal, "reciprocal", 1, Takes::Floats},
    {ScalarOp::Floor, "floor", 1, Takes::Floats},
    {ScalarOp::Ceil, "ceil", 1, Takes::Floats},
    {ScalarOp::RoundEven, "round_even", 1, Takes::Floats},
    {ScalarOp::Trunc, "trunc", 1, Takes::Floats},
    {ScalarOp::Exp, "exp", 1, Takes::Floats},
    {ScalarOp::Log, "log", 1, Takes::Floats},
    {ScalarOp::Erf, "erf", 1, Takes::Floats},
    {ScalarOp::Tanh, "tanh", 1, Takes::Floats},
    {ScalarOp::Sigmoid, "sigmoid", 1, Takes::Floats},
    {ScalarOp::Sin, "sin", 1, Takes::Floats},
    {ScalarOp::Cos, "cos", 1, Takes::Floats},
    {ScalarOp::Tan, "tan", 1, Takes::Floats},
    {ScalarOp::Asin, "asin", 1, Takes::Floats},
    {ScalarOp::Acos, "acos", 1, Takes::Floats},
    {ScalarOp::Atan, "atan", 1, Takes::Floats},
    {ScalarOp::Sinh, "sinh", 1, Takes::Floats},
    {ScalarOp::Cosh, "cosh", 1, Takes::Floats},
    {ScalarOp::Asinh, "asinh", 1, Takes::Floats},
    {ScalarOp::Acosh, "acosh", 1, Takes::Floats},
    {ScalarOp::Atanh, "atanh", 1, Takes::Floats},
    {ScalarOp::Equal, "equal", 2, Takes::Anything},
    {ScalarOp::Less, "less", 2, Takes::Numbers},
    {ScalarOp::LessEqual, "less_equal", 2, Takes::Numbers},
    {ScalarOp::And, "and", 2, Takes::Bools},
    {ScalarOp::Or, "or", 2, Takes::Bools},
    {ScalarOp::Xor, "xor", 2, Takes::Bools},
    {ScalarOp::Not, "not", 1, Takes::Bools},
    {ScalarOp::Select, "select", 3, Takes::Anything},
    {ScalarOp::IsNan, "is_nan", 1, Takes::Floats},
    {ScalarOp::BitAnd, "bit_and", 2, Takes::Integers},
    {ScalarOp::BitOr, "bit_or", 2, Takes::Integers},
    {ScalarOp::BitXor, "bit_xor", 2, Takes::Integers},
    {ScalarOp::BitNot, "bit_not", 1, Takes::Integers},
    {ScalarOp::ShiftLeft, "shift_left", 2, Takes::Integers},
    {ScalarOp::ShiftRight, "shift_right", 2, Takes::Integers},
    {ScalarOp::Cast, "cast", 1, Takes::Anything},
    {ScalarOp::Bitcast, "bitcast", 1, Takes::Anything},
    {ScalarOp::Ldexp, "ldexp", 2, Takes::Floats},
};

constexpr bool rowsInOrder() {
  for (size_t i = 0; i < std::size(kRows); ++i)
    if (static_cast<size_t>(kRows[i].op) != i) return false;
  return std::size(kRows) == static_cast<size_t>(ScalarOp::Ldexp) + 1;
}
static_assert(rowsInOrder());

const Row& rowOf(ScalarOp op) { return kRows[static_cast<size_t>(op)]; }

bool accepts(ScalarOp op, DType type) {
  // Complex numbers have no order, and only the arithmetic of a field here.
  if (isComplex(type))
    return op <= ScalarOp::Div || op == ScalarOp::Neg || op == ScalarOp::Reciprocal ||
           rowOf(op).takes == Takes::Anything;
  switch (rowOf(op).takes) {
    case Takes::Anything:
      return true;
    case Takes::Numbers:
      return type != DType::Bool;
    case Takes::Integers:
      return isInteger(type);
    case Takes::Floats:
      return isFloat(type);
    case Takes::Bools:
      return type == DType::Bool;
  }
  return false;
}

void requireAccepted(ScalarOp op, DType type) {
  if (accepts(op, type)) return;
  throw Error(ErrorCode::InvalidModel, fmt::format("{} of {}", scalarOpName(op), dtypeName(type)),
              "a type that the operation is defined for");
}

void requireSame(ScalarOp op, DType a, DType b) {
  if (a == b) return;
  throw Error(ErrorCode::InvalidModel,
              fmt::format("{} of {} and {}", scalarOpName(op), dtypeName(a), dtypeName(b)),
              "operands of one type");
}

bool isComparison(ScalarOp op) {
  return op == ScalarOp::Equal || op == ScalarOp::Less || op == ScalarOp::LessEqual ||
         op == ScalarOp::IsNan;
}

// Equal bit for bit: -0.0 is not 0.0, and a NaN is itself.
bool sameNode(const ScalarNode& a, const ScalarNode& b) {
  if (a.op != b.op || a.dtype != b.dtype || a.index != b.index) return false;
  if (!std::equal(std::begin(a.args), std::end(a.args), std::begin(b.args))) return false;
  if (a.op != ScalarOp::Constant) return true;
  if (const double* x = std::get_if<double>(&a.value)) {
    const double* y = std::get_if<double>(&b.value);
    return y && std::bit_cast<uint64_t>(*x) == std::bit_cast<uint64_t>(*y);
  }
  return a.value == b.value;
}

std::string valueText(const ScalarNode& node) {
  if (auto* real = std::get_if<double>(&node.value)) return fmt::format("{}", *real);
  if (auto* integer = std::get_if<int64_t>(&node.value)) return fmt::format("{}", *integer);
  auto complex = std::get<std::complex<double>>(node.value);
  return fmt::format("({}, {})", complex.real(), complex.imag());
}

}  // namespace

int scalarArity(ScalarOp op) { return rowOf(op).arity; }
const char* scalarOpName(ScalarOp op) { return rowOf(op).name; }

std::string ScalarProgram::toString() const {
  std::string text;
  for (size_t i = 0; i < nodes.size(); ++i) {
    const ScalarNode& node = nodes[i];
    text += fmt::format("%{}:{} = {}", i, dtypeName(node.dtype), scalarOpName(node.op));
    if (node.op == ScalarOp::Input) text += fmt::format(" {}", node.index);
    if (node.op == ScalarOp::Constant) text += " " + valueText(node);
    for (int arg = 0; arg < scalarArity(node.op); ++arg)
      text += fmt::format("{}%{}", arg == 0 ? " " : ", ", node.args[arg]);
    text += '\n';
  }
  text += "->";
  for (size_t i = 0; i < outputs.size(); ++i)
    text += fmt::format("{}%{}", i == 0 ? " " : ", ", outputs[i]);
  return text + "\n";
}

DType ScalarBuilder::Value::dtype() const { return builder->program_.nodes[node].dtype; }

ScalarBuilder::Value ScalarBuilder::append(ScalarNode node) {
  auto& nodes = program_.nodes;
  for (size_t i = nodes.size(); i-- > 0;)
    if (sameNode(nodes[i], node)) return {this, static_cast<uint16_t>(i)};
  ensure(nodes.size() < std::numeric_limits<uint16_t>::max(), "a scalar program of 65535 nodes");
  nodes.push_back(std::move(node));
  return {this, static_cast<uint16_t>(nodes.size() - 1)};
}

ScalarBuilder::Value ScalarBuilder::input(int index, DType dtype) {
  ScalarNode node{.op = ScalarOp::Input, .dtype = dtype};
  node.index = static_cast<uint16_t>(index);
  return append(node);
}

ScalarBuilder::Value ScalarBuilder::constant(DType dtype, double value) {
  ScalarNode node{.op = ScalarOp::Constant, .dtype = dtype};
  if (isComplex(dtype)) {
    node.value = std::complex<double>(value, 0);
  } else if (isFloat(dtype)) {
    node.value = value;
  } else {
    node.value = truncateToInt(value);
  }
  return append(node);
}

ScalarBuilder::Value ScalarBuilder::constantInt(DType dtype, int64_t value) {
  if (isFloat(dtype) || isComplex(dtype)) return constant(dtype, static_cast<double>(value));
  ScalarNode node{.op = ScalarOp::Constant, .dtype = dtype};
  node.value = value;
  return append(node);
}

ScalarBuilder::Value ScalarBuilder::like(Value other, double value) {
  return constant(other.dtype(), value);
}

ScalarBuilder::Value ScalarBuilder::unary(ScalarOp op, Value a) {
  ensure(scalarArity(op) == 1, "a unary operation");
  requireAccepted(op, a.dtype());
  return append(
      {.op = op, .dtype = isComparison(op) ? DType::Bool : a.dtype(), .args = {a.node, 0, 0}});
}

ScalarBuilder::Value ScalarBuilder::binary(ScalarOp op, Value a, Value b) {
  ensure(scalarArity(op) == 2, "a binary operation");
  requireSame(op, a.dtype(), b.dtype());
  requireAccepted(op, a.dtype());
  return append(
      {.op = op, .dtype = isComparison(op) ? DType::Bool : a.dtype(), .args = {a.node, b.node, 0}});
}

ScalarBuilder::Value ScalarBuilder::select(Value condition, Value a, Value b) {
  requireSame(ScalarOp::Select, condition.dtype(), DType::Bool);
  requireSame(ScalarOp::Select, a.dtype(), b.dtype());
  return append(
      {.op = ScalarOp::Select, .dtype = a.dtype(), .args = {condition.node, a.node, b.node}});
}

ScalarBuilder::Value ScalarBuilder::fma(Value a, Value b, Value c) {
  requireSame(ScalarOp::Fma, a.dtype(), b.dtype());
  requireSame(ScalarOp::Fma, a.dtype(), c.dtype());
  requireAccepted(ScalarOp::Fma, a.dtype());
  return append({.op = ScalarOp::Fma, .dtype = a.dtype(), .args = {a.node, b.node, c.node}});
}

ScalarBuilder::Value ScalarBuilder::cast(Value a, DType to) {
  return append({.op = ScalarOp::Cast, .dtype = to, .args = {a.node, 0, 0}});
}

ScalarBuilder::Value ScalarBuilder::bitcast(Value a, DType to) {
  ensure(dtypeBits(a.dtype()) == dtypeBits(to), "a bitcast between types of one width");
  return append({.op = ScalarOp::Bitcast, .dtype = to, .args = {a.node, 0, 0}});
}

std::vector<ScalarBuilder::Value> ScalarBuilder::inlined(const ScalarProgram& program,
                                                         std::span<const Value> operands) {
  std::vector<uint16_t> moved;
  moved.reserve(program.nodes.size());
  for (ScalarNode node : program.nodes) {
    if (node.op == ScalarOp::Input) {
      moved.push_back(operands[node.index].node);
      continue;
    }
    for (int arg = 0; arg < scalarArity(node.op); ++arg) node.args[arg] = moved[node.args[arg]];
    moved.push_back(append(node).node);
  }
  std::vector<Value> results;
  for (uint16_t output : program.outputs) results.push_back({this, moved[output]});
  return results;
}

ScalarProgram ScalarBuilder::finish(std::span<const Value> outputs) && {
  std::vector<bool> live(program_.nodes.size());
  for (Value output : outputs) live[output.node] = true;
  for (size_t i = live.size(); i-- > 0;)
    for (int arg = 0; live[i] && arg < scalarArity(program_.nodes[i].op); ++arg)
      live[program_.nodes[i].args[arg]] = true;

  ScalarProgram program;
  std::vector<uint16_t> moved(live.size());
  for (size_t i = 0; i < live.size(); ++i) {
    if (!live[i]) continue;
    ScalarNode node = std::move(program_.nodes[i]);
    for (int arg = 0; arg < scalarArity(node.op); ++arg) node.args[arg] = moved[node.args[arg]];
    moved[i] = static_cast<uint16_t>(program.nodes.size());
    program.nodes.push_back(std::move(node));
  }
  for (Value output : outputs) program.outputs.push_back(moved[output.node]);
  return program;
}

}  // namespace carnot
