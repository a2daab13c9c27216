#include "codegen/cpu/primitives.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "ops/scalar_numbers.h"

namespace carnot {
namespace {

// One primitive over `count` elements.
class Primitive {
 public:
  Primitive(const ScalarNode& node, Column out, std::array<Column, 3> in, int64_t count)
      : node_(node), out_(out), in_(in), count_(count) {}

  void run() const {
    const DType from = in_[0].type;
    switch (node_.op) {
      case ScalarOp::Select:
        return withHeld(node_.dtype, [&]<typename T>() { select<T>(); });
      case ScalarOp::Cast:
        return withHeld(from, [&]<typename From>() {
          withHeld(node_.dtype, [&]<typename To>() { cast<From, To>(); });
        });
      case ScalarOp::Bitcast:
        return bitcast();
      default:
        break;
    }
    if (!isFloat(from)) return integers();
    if (from == DType::F64) return reals<double>();
    reals<float>();
  }

 private:
  template <typename From, typename To>
  void map1(auto fn) const {
    const From* a = in_[0].as<From>();
    To* out = out_.as<To>();
    for (int64_t i = 0; i < count_; ++i) out[i] = static_cast<To>(fn(a[i]));
  }
  template <typename From, typename To>
  void map2(auto fn) const {
    const From *a = in_[0].as<From>(), *b = in_[1].as<From>();
    To* out = out_.as<To>();
    for (int64_t i = 0; i < count_; ++i) out[i] = static_cast<To>(fn(a[i], b[i]));
  }

  template <typename T>
  void select() const {
    const int64_t* condition = in_[0].as<int64_t>();
    const T *a = in_[1].as<T>(), *b = in_[2].as<T>();
    T* out = out_.as<T>();
    for (int64_t i = 0; i < count_; ++i) out[i] = condition[i] ? a[i] : b[i];
  }

  template <typename From, typename To>
  void cast() const {
    const DType to = node_.dtype, from = in_[0].type;
    if constexpr (std::is_integral_v<To> && std::is_integral_v<From>)
      map1<From, To>([&](From x) { return scalar::wrapped(to, x); });
    else if constexpr (std::is_integral_v<To>)
      map1<From, To>([&](From x) { return scalar::toInteger(to, x); });
    else if constexpr (std::is_integral_v<From>)
      map1<From, To>([&](From x) { return scalar::roundTo(to, from, x); });
    else if (to == DType::F32 || to == DType::F64)
      map1<From, To>([](From x) { return x; });
    else
      map1<From, To>([&](From x) { return scalar::roundTo(to, x); });
  }

  void bitcast() const {
    char bytes[8];
    withHeld(in_[0].type, [&]<typename From>() {
      withHeld(node_.dtype, [&]<typename To>() {
        map1<From, To>([&](From x) {
          storeOne(bytes, in_[0].type, x);
          return loadOne<To>(bytes, node_.dtype);
        });
      });
    });
  }

  void integers() const {
    const DType type = node_.dtype, from = in_[0].type;
    auto each1 = [&](auto fn) {
      map1<int64_t, int64_t>([&](int64_t a) { return scalar::wrapped(type, fn(a)); });
    };
    auto each2 = [&](auto fn) {
      map2<int64_t, int64_t>([&](int64_t a, int64_t b) { return scalar::wrapped(type, fn(a, b)); });
    };
    auto ring = [](int64_t a) { return static_cast<uint64_t>(a); };
    switch (node_.op) {
      case ScalarOp::Add:
        return each2([&](int64_t a, int64_t b) { return static_cast<int64_t>(ring(a) + ring(b)); });
      case ScalarOp::Sub:
        return each2([&](int64_t a, int64_t b) { return static_cast<int64_t>(ring(a) - ring(b)); });
      case ScalarOp::Mul:
        return each2([&](int64_t a, int64_t b) { return static_cast<int64_t>(ring(a) * ring(b)); });
      case ScalarOp::Fma: {
        const int64_t *a = in_[0].as<int64_t>(), *b = in_[1].as<int64_t>(),
                      *c = in_[2].as<int64_t>();
        for (int64_t i = 0; i < count_; ++i)
          out_.as<int64_t>()[i] =
              scalar::wrapped(type, static_cast<int64_t>(ring(a[i]) * ring(b[i]) + ring(c[i])));
        return;
      }
      case ScalarOp::Div:
        return each2([&](int64_t a, int64_t b) { return scalar::divide(type, a, b); });
      case ScalarOp::FloorMod:
        return each2([&](int64_t a, int64_t b) { return scalar::floorMod(type, a, b); });
      case ScalarOp::TruncMod:
        return each2([&](int64_t a, int64_t b) { return scalar::truncMod(type, a, b); });
      case ScalarOp::Pow:
        return each2([&](int64_t a, int64_t b) { return scalar::power(type, a, b); });
      case ScalarOp::Min:
        return each2([&](int64_t a, int64_t b) { return scalar::less(type, a, b) ? a : b; });
      case ScalarOp::Max:
        return each2([&](int64_t a, int64_t b) { return scalar::less(type, b, a) ? a : b; });
      case ScalarOp::Neg:
        return each1([&](int64_t a) { return static_cast<int64_t>(0 - ring(a)); });
      case ScalarOp::Abs:
        return each1([&](int64_t a) {
          return isSigned(type) && a < 0 ? static_cast<int64_t>(0 - ring(a)) : a;
        });
      case ScalarOp::Equal:
        return each2([](int64_t a, int64_t b) { return int64_t{a == b}; });
      case ScalarOp::Less:
        return each2([&](int64_t a, int64_t b) { return int64_t{scalar::less(from, a, b)}; });
      case ScalarOp::LessEqual:
        return each2([&](int64_t a, int64_t b) { return int64_t{!scalar::less(from, b, a)}; });
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
        return each1([](int64_t a) { return int64_t{a == 0}; });
      case ScalarOp::BitNot:
        return each1([](int64_t a) { return ~a; });
      case ScalarOp::ShiftLeft:
        return each2([&](int64_t a, int64_t b) { return scalar::shiftLeft(type, a, b); });
      case ScalarOp::ShiftRight:
        return each2([&](int64_t a, int64_t b) { return scalar::shiftRight(type, a, b); });
      default:
        throwInternal(fmt::format("{} of integers", scalarOpName(node_.op)));
    }
  }

  template <typename T>
  void reals() const {
    auto each1 = [&](auto fn) { map1<T, T>(fn); };
    auto each2 = [&](auto fn) { map2<T, T>(fn); };
    switch (node_.op) {
      case ScalarOp::Add:
        return each2([](T a, T b) { return a + b; });
      case ScalarOp::Sub:
        return each2([](T a, T b) { return a - b; });
      case ScalarOp::Mul:
        return each2([](T a, T b) { return a * b; });
      case ScalarOp::Div:
        return each2([](T a, T b) { return a / b; });
      case ScalarOp::Fma: {
        const T *a = in_[0].as<T>(), *b = in_[1].as<T>(), *c = in_[2].as<T>();
        for (int64_t i = 0; i < count_; ++i) out_.as<T>()[i] = std::fma(a[i], b[i], c[i]);
        return;
      }
      case ScalarOp::FloorMod:
        return each2([](T a, T b) { return static_cast<T>(scalar::floorMod(a, b)); });
      case ScalarOp::TruncMod:
        return each2([](T a, T b) { return std::fmod(a, b); });
      case ScalarOp::Pow:
        return each2([](T a, T b) { return std::pow(a, b); });
      case ScalarOp::Min:
        return each2([](T a, T b) { return a < b ? a : b; });
      case ScalarOp::Max:
        return each2([](T a, T b) { return a > b ? a : b; });
      case ScalarOp::Ldexp:
        return each2([](T a, T b) {
          return std::ldexp(a, static_cast<int>(std::clamp(b, T(-5000), T(5000))));
        });
      case ScalarOp::Neg:
        return each1([](T a) { return -a; });
      case ScalarOp::Abs:
        return each1([](T a) { return std::fabs(a); });
      case ScalarOp::Sqrt:
        return each1([](T a) { return std::sqrt(a); });
      case ScalarOp::Reciprocal:
        return each1([](T a) { return 1 / a; });
      case ScalarOp::Floor:
        return each1([](T a) { return std::floor(a); });
      case ScalarOp::Ceil:
        return each1([](T a) { return std::ceil(a); });
      case ScalarOp::RoundEven:
        return each1([](T a) { return std::nearbyint(a); });
      case ScalarOp::Trunc:
        return each1([](T a) { return std::trunc(a); });
      case ScalarOp::Exp:
        return each1([](T a) { return std::exp(a); });
      case ScalarOp::Log:
        return each1([](T a) { return std::log(a); });
      case ScalarOp::Erf:
        return each1([](T a) { return std::erf(a); });
      case ScalarOp::Tanh:
        return each1([](T a) { return std::tanh(a); });
      case ScalarOp::Sigmoid:
        return each1([](T a) {
          const T e = std::exp(-std::fabs(a));
          return (a < 0 ? e : T(1)) / (1 + e);
        });
      case ScalarOp::Sin:
        return each1([](T a) { return std::sin(a); });
      case ScalarOp::Cos:
        return each1([](T a) { return std::cos(a); });
      case ScalarOp::Tan:
        return each1([](T a) { return std::tan(a); });
      case ScalarOp::Asin:
        return each1([](T a) { return std::asin(a); });
      case ScalarOp::Acos:
        return each1([](T a) { return std::acos(a); });
      case ScalarOp::Atan:
        return each1([](T a) { return std::atan(a); });
      case ScalarOp::Sinh:
        return each1([](T a) { return std::sinh(a); });
      case ScalarOp::Cosh:
        return each1([](T a) { return std::cosh(a); });
      case ScalarOp::Asinh:
        return each1([](T a) { return std::asinh(a); });
      case ScalarOp::Acosh:
        return each1([](T a) { return std::acosh(a); });
      case ScalarOp::Atanh:
        return each1([](T a) { return std::atanh(a); });
      case ScalarOp::Equal:
        return map2<T, int64_t>([](T a, T b) { return a == b; });
      case ScalarOp::Less:
        return map2<T, int64_t>([](T a, T b) { return a < b; });
      case ScalarOp::LessEqual:
        return map2<T, int64_t>([](T a, T b) { return a <= b; });
      case ScalarOp::IsNan:
        return map1<T, int64_t>([](T a) { return std::isnan(a); });
      default:
        throwInternal(fmt::format("{} of reals", scalarOpName(node_.op)));
    }
  }

  const ScalarNode& node_;
  Column out_;
  std::array<Column, 3> in_;
  int64_t count_;
};

}  // namespace

void runPrimitive(const ScalarNode& node, Column out, const std::array<Column, 3>& in,
                  int64_t count) {
  Primitive(node, out, in, count).run();
}

}  // namespace carnot
