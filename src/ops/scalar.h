#pragma once

#include <carnot/dtype.h>

#include <complex>
#include <cstdint>
#include <span>
#include <string>
#include <variant>
#include <vector>

namespace carnot {

// The primitive operations of pointwise code. From one ScalarProgram come the reference (interpreted
// here through double, int64 and complex), the x86 loop and the CUDA loop.
enum class ScalarOp : uint8_t {
  Input,     // element `index` of the operand list
  Constant,  // `value`
  Add, Sub, Mul, Div,  // integers: wrap; Div truncates, by zero gives 0
  Fma,                 // a * b + c
  FloorMod, TruncMod,  // sign of the divisor; sign of the dividend (C's fmod)
  Pow,
  Min, Max,  // b when either operand is NaN, as x86 does
  Neg, Abs, Sqrt, Reciprocal,
  Floor, Ceil, RoundEven, Trunc,
  Exp, Log, Erf, Tanh, Sigmoid,
  Sin, Cos, Tan, Asin, Acos, Atan, Sinh, Cosh, Asinh, Acosh, Atanh,
  Equal, Less, LessEqual,       // Bool results
  And, Or, Xor, Not,            // Bool operands
  Select,                       // a ? b : c, a Bool
  IsNan,
  BitAnd, BitOr, BitXor, BitNot, ShiftLeft, ShiftRight,  // integers; logical shift when unsigned
  Cast,     // to the node's dtype: ONNX Cast (float to integer truncates; to Bool is != 0)
  Bitcast,  // same bits, same width
};

// One primitive; operands are indices of earlier nodes. `dtype` is the result's type.
struct ScalarNode {
  ScalarOp op = ScalarOp::Input;
  DType dtype = DType::F32;
  uint16_t args[3] = {0, 0, 0};
  uint16_t index = 0;  // Input only
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

// Appends to a program; equal nodes are shared.
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

  ScalarProgram finish(std::span<const Value> outputs) &&;

 private:
  Value append(ScalarNode node);
  ScalarProgram program_;
};
using ScalarValue = ScalarBuilder::Value;

// One element through the program: operands and results as double, int64 (integers, Bool) or complex,
// by their dtype. Floating point is computed in double and rounded at Cast only.
using ScalarNumber = std::variant<double, int64_t, std::complex<double>>;
void evaluateScalar(const ScalarProgram& program, std::span<const ScalarNumber> operands,
                    std::span<ScalarNumber> results);

}  // namespace carnot
