#include <algorithm>
#include <array>
#include <cmath>
#include <concepts>
#include <cstring>

#include "base/error.h"
#include "base/tensor.h"
#include "ops/scalar.h"
#include "ops/scalar_numbers.h"

namespace carnot {

namespace {

using namespace scalar;

using Complex = std::complex<double>;

template <typename T>
std::vector<T>& columnOf(ScalarColumn& column) {
  if constexpr (std::is_same_v<T, double>) {
    return column.reals;
  } else if constexpr (std::is_same_v<T, int64_t>) {
    return column.integers;
  } else {
    return column.complexes;
  }
}

// Calls fn<T>() with the type that holds elements of `type`.
template <typename Fn>
void withHeldType(DType type, Fn&& fn) {
  if (isComplex(type)) return fn.template operator()<Complex>();
  if (isFloat(type)) return fn.template operator()<double>();
  fn.template operator()<int64_t>();
}

// One node over a block: `a`, `b`, `c` are its operands' columns.
struct Block {
  const ScalarNode& node;
  DType operand;  // type of the first operand
  ScalarColumn* out;
  std::array<ScalarColumn*, 3> in;
  size_t count;

  template <typename From, typename To>
  void map1(auto fn) const {
    const From* a = columnOf<From>(*in[0]).data();
    To* to = columnOf<To>(*out).data();
    for (size_t i = 0; i < count; ++i) to[i] = static_cast<To>(fn(a[i]));
  }
  template <typename From, typename To>
  void map2(auto fn) const {
    const From* a = columnOf<From>(*in[0]).data();
    const From* b = columnOf<From>(*in[1]).data();
    To* to = columnOf<To>(*out).data();
    for (size_t i = 0; i < count; ++i) to[i] = static_cast<To>(fn(a[i], b[i]));
  }

  // Arithmetic that every kind of number has; false when the operation is another.
  template <typename T>
  bool field() const {
    auto wrap = [&](T value) {
      if constexpr (std::is_same_v<T, int64_t>) return wrapped(node.dtype, value);
      return value;
    };
    // Unsigned, where overflow is defined.
    using Ring = std::conditional_t<std::is_same_v<T, int64_t>, uint64_t, T>;
    auto ring = [](T value) { return static_cast<Ring>(value); };
    switch (node.op) {
      case ScalarOp::Add:
        map2<T, T>([&](T a, T b) { return wrap(static_cast<T>(ring(a) + ring(b))); });
        return true;
      case ScalarOp::Sub:
        map2<T, T>([&](T a, T b) { return wrap(static_cast<T>(ring(a) - ring(b))); });
        return true;
      case ScalarOp::Mul:
        map2<T, T>([&](T a, T b) { return wrap(static_cast<T>(ring(a) * ring(b))); });
        return true;
      case ScalarOp::Neg:
        map1<T, T>([&](T a) {
          if constexpr (std::is_same_v<T, int64_t>) return wrap(static_cast<T>(0 - ring(a)));
          return -a;
        });
        return true;
      case ScalarOp::Fma: {
        const T* c = columnOf<T>(*in[2]).data();
        const T* a = columnOf<T>(*in[0]).data();
        const T* b = columnOf<T>(*in[1]).data();
        T* to = columnOf<T>(*out).data();
        for (size_t i = 0; i < count; ++i)
          to[i] = wrap(static_cast<T>(ring(a[i]) * ring(b[i]) + ring(c[i])));
        return true;
      }
      case ScalarOp::Equal:
        map2<T, int64_t>([](T a, T b) { return a == b; });
        return true;
      default:
        return false;
    }
  }

  void integers() const {
    DType type = node.dtype;
    auto each1 = [&](auto fn) {
      map1<int64_t, int64_t>([&](int64_t a) { return wrapped(type, fn(a)); });
    };
    auto each2 = [&](auto fn) {
      map2<int64_t, int64_t>([&](int64_t a, int64_t b) { return wrapped(type, fn(a, b)); });
    };
    switch (node.op) {
      case ScalarOp::Div:
        return each2([&](int64_t a, int64_t b) { return divide(type, a, b); });
      case ScalarOp::FloorMod:
        return each2([&](int64_t a, int64_t b) { return floorMod(type, a, b); });
      case ScalarOp::TruncMod:
        return each2([&](int64_t a, int64_t b) { return truncMod(type, a, b); });
      case ScalarOp::Pow:
        return each2([&](int64_t a, int64_t b) { return power(type, a, b); });
      case ScalarOp::Min:
        return each2([&](int64_t a, int64_t b) { return less(type, a, b) ? a : b; });
      case ScalarOp::Max:
        return each2([&](int64_t a, int64_t b) { return less(type, b, a) ? a : b; });
      case ScalarOp::Abs:
        return each1([&](int64_t a) {
          return isSigned(type) && a < 0 ? static_cast<int64_t>(0 - static_cast<uint64_t>(a)) : a;
        });
      case ScalarOp::Less:
        return each2([&](int64_t a, int64_t b) { return less(operand, a, b); });
      case ScalarOp::LessEqual:
        return each2([&](int64_t a, int64_t b) { return !less(operand, b, a); });
      case ScalarOp::And:
      case ScalarOp::BitAnd:
        return each2([](int64_t a, int64_t b) { return a & b; });
      case ScalarOp::Or:
      case ScalarOp::BitOr:
        return each2([](int64_t a, int64_t b) { return a | b; });
      case ScalarOp::Xor:
      case ScalarOp::BitXor:
        return each2([](int64_t a, int64_t b) { return a ^ b; });
      case ScalarOp::Not:
        return each1([](int64_t a) { return a == 0; });
      case ScalarOp::BitNot:
        return each1([](int64_t a) { return ~a; });
      case ScalarOp::ShiftLeft:
        return each2([&](int64_t a, int64_t b) { return shiftLeft(type, a, b); });
      case ScalarOp::ShiftRight:
        return each2([&](int64_t a, int64_t b) { return shiftRight(type, a, b); });
      default:
        throwInternal(fmt::format("{} of integers", scalarOpName(node.op)));
    }
  }

  void reals() const {
    auto each1 = [&](auto fn) { map1<double, double>(fn); };
    auto each2 = [&](auto fn) { map2<double, double>(fn); };
    switch (node.op) {
      case ScalarOp::Div:
        return each2([](double a, double b) { return a / b; });
      case ScalarOp::FloorMod:
        return each2([](double a, double b) { return floorMod(a, b); });
      case ScalarOp::TruncMod:
        return each2([](double a, double b) { return std::fmod(a, b); });
      case ScalarOp::Pow:
        return each2([](double a, double b) { return std::pow(a, b); });
      case ScalarOp::Min:
        return each2([](double a, double b) { return a < b ? a : b; });
      case ScalarOp::Max:
        return each2([](double a, double b) { return a > b ? a : b; });
      case ScalarOp::Abs:
        return each1([](double a) { return std::fabs(a); });
      case ScalarOp::Sqrt:
        return each1([](double a) { return std::sqrt(a); });
      case ScalarOp::Reciprocal:
        return each1([](double a) { return 1 / a; });
      case ScalarOp::Floor:
        return each1([](double a) { return std::floor(a); });
      case ScalarOp::Ceil:
        return each1([](double a) { return std::ceil(a); });
      case ScalarOp::RoundEven:
        return each1([](double a) { return std::nearbyint(a); });
      case ScalarOp::Trunc:
        return each1([](double a) { return std::trunc(a); });
      case ScalarOp::Exp:
        return each1([](double a) { return std::exp(a); });
      case ScalarOp::Log:
        return each1([](double a) { return std::log(a); });
      case ScalarOp::Erf:
        return each1([](double a) { return std::erf(a); });
      case ScalarOp::Tanh:
        return each1([](double a) { return std::tanh(a); });
      case ScalarOp::Sigmoid:
        return each1([](double a) { return 1 / (1 + std::exp(-a)); });
      case ScalarOp::Sin:
        return each1([](double a) { return std::sin(a); });
      case ScalarOp::Cos:
        return each1([](double a) { return std::cos(a); });
      case ScalarOp::Tan:
        return each1([](double a) { return std::tan(a); });
      case ScalarOp::Asin:
        return each1([](double a) { return std::asin(a); });
      case ScalarOp::Acos:
        return each1([](double a) { return std::acos(a); });
      case ScalarOp::Atan:
        return each1([](double a) { return std::atan(a); });
      case ScalarOp::Sinh:
        return each1([](double a) { return std::sinh(a); });
      case ScalarOp::Cosh:
        return each1([](double a) { return std::cosh(a); });
      case ScalarOp::Asinh:
        return each1([](double a) { return std::asinh(a); });
      case ScalarOp::Acosh:
        return each1([](double a) { return std::acosh(a); });
      case ScalarOp::Atanh:
        return each1([](double a) { return std::atanh(a); });
      case ScalarOp::Ldexp:  // beyond the clamp every result is zero or infinite
        return each2([](double a, double b) {
          return std::ldexp(a, static_cast<int>(std::clamp(b, -5000.0, 5000.0)));
        });
      case ScalarOp::Less:
        return map2<double, int64_t>([](double a, double b) { return a < b; });
      case ScalarOp::LessEqual:
        return map2<double, int64_t>([](double a, double b) { return a <= b; });
      case ScalarOp::IsNan:
        return map1<double, int64_t>([](double a) { return std::isnan(a); });
      default:
        throwInternal(fmt::format("{} of reals", scalarOpName(node.op)));
    }
  }

  void complexes() const {
    switch (node.op) {
      case ScalarOp::Div:
        return map2<Complex, Complex>([](Complex a, Complex b) { return a / b; });
      case ScalarOp::Reciprocal:
        return map1<Complex, Complex>([](Complex a) { return 1.0 / a; });
      default:
        throwInternal(fmt::format("{} of complex numbers", scalarOpName(node.op)));
    }
  }

  void select() const {
    withHeldType(node.dtype, [&]<typename T>() {
      const int64_t* condition = in[0]->integers.data();
      const T* a = columnOf<T>(*in[1]).data();
      const T* b = columnOf<T>(*in[2]).data();
      T* to = columnOf<T>(*out).data();
      for (size_t i = 0; i < count; ++i) to[i] = condition[i] ? a[i] : b[i];
    });
  }

  template <typename From, typename To>
  To castOne(From value) const {
    DType to = node.dtype;
    if constexpr (std::is_same_v<From, Complex>) {
      if constexpr (std::is_same_v<To, Complex>)
        return {roundTo(to, value.real()), roundTo(to, value.imag())};
      else
        return castOne<double, To>(value.real());
    } else if constexpr (std::is_same_v<To, int64_t>) {
      if constexpr (std::is_same_v<From, double>) return toInteger(to, value);
      return wrapped(to, static_cast<int64_t>(value));
    } else {
      if constexpr (std::is_same_v<From, double>)
        return roundTo(to, value);
      else
        return roundTo(to, operand, value);
    }
  }

  void cast() const {
    withHeldType(operand, [&]<typename From>() {
      withHeldType(node.dtype, [&]<typename To>() {
        map1<From, To>([&](From value) { return castOne<From, To>(value); });
      });
    });
  }

  void bitcast() const {
    std::byte bytes[16] = {};
    TensorView from{bytes, operand, {}}, to{bytes, node.dtype, {}};
    for (size_t i = 0; i < count; ++i) {
      if (isComplex(operand))
        from.storeComplex(0, in[0]->complexes[i]);
      else if (isFloat(operand))
        from.storeDouble(0, in[0]->reals[i]);
      else
        from.storeInt(0, in[0]->integers[i]);
      if (isComplex(node.dtype))
        out->complexes[i] = to.loadComplex(0);
      else if (isFloat(node.dtype))
        out->reals[i] = to.loadDouble(0);
      else
        out->integers[i] = to.loadInt(0);
    }
  }

  void run() const {
    if (node.op == ScalarOp::Select) return select();
    if (node.op == ScalarOp::Cast) return cast();
    if (node.op == ScalarOp::Bitcast) return bitcast();
    if (isComplex(operand)) return field<Complex>() ? void() : complexes();
    if (isFloat(operand)) return field<double>() ? void() : reals();
    return field<int64_t>() ? void() : integers();
  }
};

}  // namespace

ScalarInterpreter::ScalarInterpreter(ScalarProgram program)
    : program_(std::move(program)), columns_(program_.nodes.size()) {
  for (size_t i = 0; i < columns_.size(); ++i) {
    const ScalarNode& node = program_.nodes[i];
    withHeldType(node.dtype, [&]<typename T>() {
      auto& column = columnOf<T>(columns_[i]);
      column.resize(kBlock);
      if (node.op == ScalarOp::Constant) column.assign(kBlock, std::get<T>(node.value));
    });
    if (node.op != ScalarOp::Input) continue;
    if (operands_.size() <= node.index) operands_.resize(node.index + 1, -1);
    operands_[node.index] = static_cast<int>(i);
  }
}

ScalarColumn* ScalarInterpreter::operand(size_t index) {
  if (index >= operands_.size() || operands_[index] < 0) return nullptr;
  return &columns_[operands_[index]];
}

void ScalarInterpreter::run(size_t count) {
  for (size_t i = 0; i < program_.nodes.size(); ++i) {
    const ScalarNode& node = program_.nodes[i];
    if (node.op == ScalarOp::Input || node.op == ScalarOp::Constant) continue;
    Block block{node, program_.nodes[node.args[0]].dtype, &columns_[i], {}, count};
    for (int arg = 0; arg < scalarArity(node.op); ++arg) block.in[arg] = &columns_[node.args[arg]];
    block.run();
  }
}

void evaluateScalar(const ScalarProgram& program, std::span<const ScalarNumber> operands,
                    std::span<ScalarNumber> results) {
  ScalarInterpreter interpreter(program);
  for (size_t i = 0; i < operands.size(); ++i) {
    ScalarColumn* column = interpreter.operand(i);
    if (!column) continue;
    std::visit([&]<typename T>(const T& value) { columnOf<T>(*column).assign(1, value); },
               operands[i]);
  }
  interpreter.run(1);
  for (size_t i = 0; i < results.size(); ++i) {
    const ScalarColumn& column = interpreter.result(i);
    withHeldType(interpreter.resultType(i), [&]<typename T>() {
      results[i] = columnOf<T>(const_cast<ScalarColumn&>(column))[0];
    });
  }
}

}  // namespace carnot
