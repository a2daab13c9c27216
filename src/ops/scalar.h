#pragma once

#include <carnot/dtype.h>

#include <complex>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "base/dim.h"

namespace carnot {

// The primitive operations of pointwise code. From one ScalarProgram come the reference
// (interpreted here through double, int64 and complex), the x86 loop and the CUDA loop.
enum class ScalarOp : uint8_t {
  Input,     // element `index` of the operand list
  Constant,  // `value`
  Add,       // integers wrap
  Sub,
  Mul,
  Div,       // integers: truncates, by zero gives 0
  Fma,       // a * b + c
  FloorMod,  // sign of the divisor
  TruncMod,  // sign of the dividend (C's fmod)
  Pow,
  Min,  // b when either operand is NaN, as x86 does
  Max,  // likewise
  Neg,
  Abs,
  Sqrt,
  Reciprocal,
  Floor,
  Ceil,
  RoundEven,
  Trunc,
  Exp,
  Log,
  Erf,
  Tanh,
  Sigmoid,
  Sin,
  Cos,
  Tan,
  Asin,
  Acos,
  Atan,
  Sinh,
  Cosh,
  Asinh,
  Acosh,
  Atanh,
  Equal,
  Less,
  LessEqual,  // Bool results
  And,
  Or,
  Xor,
  Not,     // Bool operands
  Select,  // a ? b : c, a Bool
  IsNan,
  BitAnd,
  BitOr,
  BitXor,
  BitNot,
  ShiftLeft,
  ShiftRight,  // integers; logical shift when unsigned
  Cast,        // to the node's dtype: ONNX Cast (float to integer truncates; to Bool is != 0)
  Bitcast,     // same bits, same width
  Ldexp,       // a * 2^b, rounded once; b a whole number of a's type
};

// One primitive; operands are indices of earlier nodes. `dtype` is the result's type.
struct ScalarNode {
  ScalarOp op = ScalarOp::Input;
  DType dtype = DType::F32;
  uint16_t args[3] = {0, 0, 0};
  uint16_t index = 0;                                               // Input only
  std::variant<double, int64_t, std::complex<double>> value = 0.0;  // Constant only
  friend bool operator==(const ScalarNode&, const ScalarNode&) = default;
};

int scalarArity(ScalarOp op);
const char* scalarOpName(ScalarOp op);

// Straight-line code in single assignment: nodes in order, then which of them are the results.
struct ScalarProgram {
  std::vector<ScalarNode> nodes;
  std::vector<uint16_t> outputs;
  friend bool operator==(const ScalarProgram&, const ScalarProgram&) = default;
  std::string toString() const;
};

// Appends to a program; equal nodes are shared. Operands of unequal types, or of a type that the
// operation has no meaning for, throw Error (InvalidModel).
class ScalarBuilder {
 public:
  struct Value {
    ScalarBuilder* builder = nullptr;
    uint16_t node = 0;
    DType dtype() const;
    friend Value operator+(Value a, Value b) { return a.builder->binary(ScalarOp::Add, a, b); }
    friend Value operator-(Value a, Value b) { return a.builder->binary(ScalarOp::Sub, a, b); }
    friend Value operator*(Value a, Value b) { return a.builder->binary(ScalarOp::Mul, a, b); }
    friend Value operator/(Value a, Value b) { return a.builder->binary(ScalarOp::Div, a, b); }
    friend Value operator+(Value a, double b) { return a + a.builder->like(a, b); }
    friend Value operator-(Value a, double b) { return a - a.builder->like(a, b); }
    friend Value operator*(Value a, double b) { return a * a.builder->like(a, b); }
    friend Value operator/(Value a, double b) { return a / a.builder->like(a, b); }
    friend Value operator+(double a, Value b) { return b.builder->like(b, a) + b; }
    friend Value operator-(double a, Value b) { return b.builder->like(b, a) - b; }
    friend Value operator*(double a, Value b) { return b.builder->like(b, a) * b; }
    friend Value operator/(double a, Value b) { return b.builder->like(b, a) / b; }
  };

  Value input(int index, DType dtype);
  Value constant(DType dtype, double value);
  Value constantInt(DType dtype, int64_t value);
  Value like(Value other, double value);  // a constant of other's type
  Value unary(ScalarOp op, Value a);
  Value binary(ScalarOp op, Value a, Value b);
  Value select(Value condition, Value a, Value b);
  Value fma(Value a, Value b, Value c);
  Value cast(Value a, DType to);
  Value bitcast(Value a, DType to);
  // Copies `program` in, its Input i replaced by operands[i]; gives its outputs.
  std::vector<Value> inlined(const ScalarProgram& program, std::span<const Value> operands);

  // The program without the nodes that `outputs` do not need.
  ScalarProgram finish(std::span<const Value> outputs) &&;

 private:
  Value append(ScalarNode node);
  ScalarProgram program_;
};
using ScalarValue = ScalarBuilder::Value;

// Elements of one scalar of a program, held by its dtype: as double, as int64 (integers, Bool) or
// as complex. The other two are empty.
struct ScalarColumn {
  std::vector<double> reals;
  std::vector<int64_t> integers;
  std::vector<std::complex<double>> complexes;
};

// Runs a program over blocks of elements, node by node. Floating point is computed in double and
// rounded at Cast only; integers wrap to their width.
class ScalarInterpreter {
 public:
  static constexpr size_t kBlock = 256;
  explicit ScalarInterpreter(ScalarProgram program);

  size_t operandCount() const { return operands_.size(); }
  // To fill before run; null when the program does not read operand `index`.
  ScalarColumn* operand(size_t index);
  void run(size_t count);  // the first `count` elements, at most kBlock
  const ScalarColumn& result(size_t index) const { return columns_[program_.outputs[index]]; }
  DType resultType(size_t index) const { return program_.nodes[program_.outputs[index]].dtype; }

 private:
  ScalarProgram program_;
  std::vector<ScalarColumn> columns_;  // one a node
  std::vector<int> operands_;          // node of each operand, or -1
};

// One element through the program.
using ScalarNumber = std::variant<double, int64_t, std::complex<double>>;
void evaluateScalar(const ScalarProgram& program, std::span<const ScalarNumber> operands,
                    std::span<ScalarNumber> results);

// One element of an integer program whose operands are expressions; nullopt where the answer
// depends on more than the symbols being >= 0, or where arithmetic does not stay in expressions.
std::optional<Dim> evaluateScalar(const ScalarProgram& program, std::span<const Dim> operands);

}  // namespace carnot
