#include "codegen/cuda/scalar_source.h"

#include <fmt/format.h>

#include <bit>

namespace carnot::cuda {
namespace {

bool isHalf(DType dtype) { return dtype == DType::F16 || dtype == DType::BF16; }
bool isReal(DType dtype) { return isHalf(dtype) || dtype == DType::F32 || dtype == DType::F64; }

bool known(DType dtype) {
  switch (dtype) {
    case DType::F16:
    case DType::BF16:
    case DType::F32:
    case DType::F64:
    case DType::I8:
    case DType::U8:
    case DType::I16:
    case DType::U16:
    case DType::I32:
    case DType::U32:
    case DType::I64:
    case DType::U64:
    case DType::Bool:
      return true;
    default:
      return false;
  }
}

// The type that an integer operation wraps in.
std::string wrapType(DType dtype) {
  return dtypeBits(dtype) == 64 ? "unsigned long long" : "unsigned";
}

std::string constantOf(const ScalarNode& node) {
  if (const auto* integer = std::get_if<int64_t>(&node.value)) return literal(node.dtype, *integer);
  const double value = std::get<double>(node.value);
  return isReal(node.dtype) ? literal(node.dtype, value)
                            : literal(node.dtype, static_cast<int64_t>(value));
}

std::string castOf(DType from, DType to, const std::string& a) {
  if (to == DType::Bool) return fmt::format("({} != {})", a, literal(from, int64_t{0}));
  if (isReal(to)) {
    std::string value =
        to == DType::F64 ? fmt::format("(double){}", a) : fmt::format("(float){}", a);
    if (to == DType::F16) return fmt::format("fromHalf(toHalf({}))", value);
    if (to == DType::BF16) return fmt::format("fromBrain(toBrain({}))", value);
    return value;
  }
  if (!isReal(from)) return fmt::format("({}){}", valueType(to), a);
  if (to == DType::U64) return fmt::format("toUnsigned((double){})", a);
  return fmt::format("({})toInteger((double){})", valueType(to), a);
}

std::string bitcastOf(DType from, DType to, const std::string& a) {
  if (from == to) return a;
  if (isHalf(from)) return fmt::format("({}){}", valueType(to), stored(from, a));
  if (isHalf(to)) return loaded(to, fmt::format("(unsigned short){}", a));
  if (from == DType::F32) return fmt::format("({})__float_as_int({})", valueType(to), a);
  if (to == DType::F32) return fmt::format("__int_as_float((int){})", a);
  if (from == DType::F64) return fmt::format("({})__double_as_longlong({})", valueType(to), a);
  if (to == DType::F64) return fmt::format("__longlong_as_double((long long){})", a);
  return fmt::format("({}){}", valueType(to), a);
}

// A function of CUDA's library in the node's precision.
std::string call(const char* name, DType dtype, const std::string& arguments) {
  return fmt::format("{}{}({})", name, dtype == DType::F64 ? "" : "f", arguments);
}

std::string expressionOf(const ScalarProgram& program, const ScalarNode& node,
                         const std::string& prefix) {
  auto argument = [&](int i) { return fmt::format("{}{}", prefix, node.args[i]); };
  const std::string a = argument(0), b = argument(1), c = argument(2);
  const DType type = node.dtype, operand = program.nodes[node.args[0]].dtype;
  const bool real = isReal(type);
  auto wrapping = [&](const char* op) {
    if (real) return fmt::format("{} {} {}", a, op, b);
    return fmt::format("({})(({}){} {} ({}){})", valueType(type), wrapType(type), a, op,
                       wrapType(type), b);
  };
  auto plain = [&](const char* op) { return fmt::format("{} {} {}", a, op, b); };
  auto narrowed = [&](const std::string& text) {
    return fmt::format("({})({})", valueType(type), text);
  };
  auto function = [&](const char* name) { return call(name, type, a); };
  switch (node.op) {
    case ScalarOp::Input:
    case ScalarOp::Constant:
      return constantOf(node);
    case ScalarOp::Add:
      return wrapping("+");
    case ScalarOp::Sub:
      return wrapping("-");
    case ScalarOp::Mul:
      return wrapping("*");
    case ScalarOp::Div:
      if (type == DType::F16) return fmt::format("__fdividef({}, {})", a, b);
      return real ? plain("/") : fmt::format("divide({}, {})", a, b);
    case ScalarOp::Fma:
      if (real) return call("fma", type, fmt::format("{}, {}, {}", a, b, c));
      return narrowed(fmt::format("({0}){1} * ({0}){2} + ({0}){3}", wrapType(type), a, b, c));
    case ScalarOp::FloorMod:
      return fmt::format("floorMod({}, {})", a, b);
    case ScalarOp::TruncMod:
      return real ? call("fmod", type, a + ", " + b) : fmt::format("truncMod({}, {})", a, b);
    case ScalarOp::Pow:
      return real ? call("pow", type, a + ", " + b) : fmt::format("power({}, {})", a, b);
    case ScalarOp::Min:
      return fmt::format("{0} < {1} ? {0} : {1}", a, b);
    case ScalarOp::Max:
      return fmt::format("{0} > {1} ? {0} : {1}", a, b);
    case ScalarOp::Neg:
      return real ? "-" + a : narrowed(fmt::format("0 - ({}){}", wrapType(type), a));
    case ScalarOp::Abs:
      if (real) return function("fabs");
      if (!isSigned(type)) return a;
      return narrowed(fmt::format("{0} < 0 ? 0 - ({1}){0} : ({1}){0}", a, wrapType(type)));
    case ScalarOp::Sqrt:
      return function("sqrt");
    case ScalarOp::Reciprocal:
      return fmt::format("({})1 / {}", valueType(type), a);
    case ScalarOp::Floor:
      return function("floor");
    case ScalarOp::Ceil:
      return function("ceil");
    case ScalarOp::RoundEven:
      return function("rint");
    case ScalarOp::Trunc:
      return function("trunc");
    case ScalarOp::Exp:
      if (isHalf(type)) return fmt::format("__expf({})", a);
      return function("exp");
    case ScalarOp::Log:
      return function("log");
    case ScalarOp::Erf:
      if (isHalf(type)) return fmt::format("erfOfHalf({})", a);
      return function("erf");
    case ScalarOp::Tanh:
      return function("tanh");
    case ScalarOp::Sigmoid:
      if (isHalf(type)) return fmt::format("__fdividef(1.0f, 1.0f + __expf(-{}))", a);
      return fmt::format("({0})1 / (({0})1 + {1})", valueType(type), call("exp", type, "-" + a));
    case ScalarOp::Sin:
      return function("sin");
    case ScalarOp::Cos:
      return function("cos");
    case ScalarOp::Tan:
      return function("tan");
    case ScalarOp::Asin:
      return function("asin");
    case ScalarOp::Acos:
      return function("acos");
    case ScalarOp::Atan:
      return function("atan");
    case ScalarOp::Sinh:
      return function("sinh");
    case ScalarOp::Cosh:
      return function("cosh");
    case ScalarOp::Asinh:
      return function("asinh");
    case ScalarOp::Acosh:
      return function("acosh");
    case ScalarOp::Atanh:
      return function("atanh");
    case ScalarOp::Equal:
      return plain("==");
    case ScalarOp::Less:
      return plain("<");
    case ScalarOp::LessEqual:
      return plain("<=");
    case ScalarOp::And:
      return plain("&&");
    case ScalarOp::Or:
      return plain("||");
    case ScalarOp::Xor:
      return plain("!=");
    case ScalarOp::Not:
      return "!" + a;
    case ScalarOp::Select:
      return fmt::format("{} ? {} : {}", a, b, c);
    case ScalarOp::IsNan:
      return fmt::format("{0} != {0}", a);
    case ScalarOp::BitAnd:
      return narrowed(plain("&"));
    case ScalarOp::BitOr:
      return narrowed(plain("|"));
    case ScalarOp::BitXor:
      return narrowed(plain("^"));
    case ScalarOp::BitNot:
      return narrowed("~" + a);
    case ScalarOp::ShiftLeft:
      return fmt::format("shiftLeft({}, (long long){})", a, b);
    case ScalarOp::ShiftRight:
      return fmt::format("shiftRight({}, (long long){})", a, b);
    case ScalarOp::Cast:
      return castOf(operand, type, a);
    case ScalarOp::Bitcast:
      return bitcastOf(operand, type, a);
    case ScalarOp::Ldexp:
      return call("ldexp", type, fmt::format("{}, clampedExponent({})", a, b));
  }
  return {};
}

}  // namespace

std::string valueType(DType dtype) {
  switch (dtype) {
    case DType::F64:
      return "double";
    case DType::I8:
      return "signed char";
    case DType::U8:
      return "unsigned char";
    case DType::I16:
      return "short";
    case DType::U16:
      return "unsigned short";
    case DType::I32:
      return "int";
    case DType::U32:
      return "unsigned";
    case DType::I64:
      return "long long";
    case DType::U64:
      return "unsigned long long";
    case DType::Bool:
      return "bool";
    default:
      return "float";
  }
}

std::string memoryType(DType dtype) {
  if (isHalf(dtype)) return "unsigned short";
  return dtype == DType::Bool ? "unsigned char" : valueType(dtype);
}

std::string loaded(DType dtype, const std::string& memory) {
  if (dtype == DType::F16) return fmt::format("fromHalf({})", memory);
  if (dtype == DType::BF16) return fmt::format("fromBrain({})", memory);
  return dtype == DType::Bool ? fmt::format("({} != 0)", memory) : memory;
}

std::string stored(DType dtype, const std::string& value) {
  if (dtype == DType::F16) return fmt::format("toHalf({})", value);
  if (dtype == DType::BF16) return fmt::format("toBrain({})", value);
  return dtype == DType::Bool ? fmt::format("(unsigned char){}", value) : value;
}

std::optional<std::string> refuseScalars(const ScalarProgram& program) {
  for (const ScalarNode& node : program.nodes)
    if (!known(node.dtype)) return fmt::format("elements of {}", dtypeName(node.dtype));
  return std::nullopt;
}

std::string scalarStatements(const ScalarProgram& program, const std::string& prefix,
                             const std::function<std::string(const ScalarNode&)>& input,
                             const std::string& indent) {
  std::string text;
  for (size_t i = 0; i < program.nodes.size(); ++i) {
    const ScalarNode& node = program.nodes[i];
    text +=
        fmt::format("{}const {} {}{} = {};\n", indent, valueType(node.dtype), prefix, i,
                    node.op == ScalarOp::Input ? input(node) : expressionOf(program, node, prefix));
  }
  return text;
}

std::string literal(DType dtype, double value) {
  if (dtype == DType::F64)
    return fmt::format("__longlong_as_double(0x{:x}ll)", std::bit_cast<uint64_t>(value));
  return fmt::format("__int_as_float(0x{:x})", std::bit_cast<uint32_t>(static_cast<float>(value)));
}

std::string literal(DType dtype, int64_t value) {
  if (isReal(dtype)) return literal(dtype, static_cast<double>(value));
  return fmt::format("({})0x{:x}ull", valueType(dtype), static_cast<uint64_t>(value));
}

const char* const kScalarPrelude = R"(
__device__ inline float fromHalf(unsigned short bits) {
  float value;
  asm("cvt.f32.f16 %0, %1;" : "=f"(value) : "h"(bits));
  return value;
}
__device__ inline unsigned short toHalf(float value) {
  unsigned short bits;
  asm("cvt.rn.f16.f32 %0, %1;" : "=h"(bits) : "f"(value));
  return bits;
}
__device__ inline float fromBrain(unsigned short bits) {
  return __int_as_float((int)bits << 16);
}
__device__ inline unsigned short toBrain(float value) {
  unsigned short bits;
  asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(bits) : "f"(value));
  return bits;
}
// Within 2e-7: Abramowitz and Stegun, 7.1.26.
__device__ inline float erfOfHalf(float x) {
  const float t = __fdividef(1.0f, 1.0f + 0.3275911f * fabsf(x));
  const float sum =
      t * (0.254829592f + t * (-0.284496736f + t * (1.421413741f + t * (-1.453152027f +
                                                                        t * 1.061405429f))));
  return copysignf(1.0f - sum * __expf(-x * x), x);
}
// Truncates; NaN and what does not fit give the lowest.
__device__ inline long long toInteger(double value) {
  return value >= -9223372036854775808.0 && value < 9223372036854775808.0
             ? (long long)value : (long long)0x8000000000000000ull;
}
__device__ inline unsigned long long toUnsigned(double value) {
  return value >= 9223372036854775808.0 && value < 18446744073709551616.0
             ? (unsigned long long)value : (unsigned long long)toInteger(value);
}
template <typename T> __device__ inline T divide(T a, T b) {
  if (b == 0) return 0;
  if (T(-1) < T(0) && b == T(-1)) return (T)(0 - (unsigned long long)a);
  return a / b;
}
template <typename T> __device__ inline T truncMod(T a, T b) {
  if (b == 0 || (T(-1) < T(0) && b == T(-1))) return 0;
  return a % b;
}
template <typename T> __device__ inline T floorMod(T a, T b) {
  const T rest = truncMod(a, b);
  return rest != 0 && (rest < 0) != (b < 0) ? (T)(rest + b) : rest;
}
__device__ inline float floorMod(float a, float b) {
  const float rest = fmodf(a, b);
  return rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest;
}
__device__ inline double floorMod(double a, double b) {
  const double rest = fmod(a, b);
  return rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest;
}
template <typename T> __device__ inline T power(T base, T exponent) {
  if (exponent < 0) {
    if (base == 1) return 1;
    if (base == T(-1)) return exponent % 2 == 0 ? T(1) : T(-1);
    return 0;
  }
  unsigned long long result = 1, square = (unsigned long long)base;
  for (unsigned long long left = (unsigned long long)exponent; left != 0; left >>= 1) {
    if (left & 1) result *= square;
    square *= square;
  }
  return (T)result;
}
template <typename T> __device__ inline T shiftLeft(T a, long long by) {
  return by < 0 || by >= (long long)(8 * sizeof(T)) ? T(0) : (T)((unsigned long long)a << by);
}
template <typename T> __device__ inline T shiftRight(T a, long long by) {
  if (by < 0 || by >= (long long)(8 * sizeof(T))) return a < 0 ? T(-1) : T(0);
  return (T)(a >> by);
}
template <typename T> __device__ inline int clampedExponent(T by) {
  return by > T(5000) ? 5000 : by < T(-5000) ? -5000 : (int)by;
}
)";

}  // namespace carnot::cuda
