#include "codegen/lower_math.h"

#include <cmath>
#include <limits>
#include <optional>

#include "codegen/lower_math_functions.h"

namespace carnot {
namespace lowered {

ScalarValue unary(ScalarOp op, ScalarValue x) { return x.builder->unary(op, x); }
ScalarValue binary(ScalarOp op, ScalarValue x, ScalarValue y) {
  return x.builder->binary(op, x, y);
}
ScalarValue select(ScalarValue condition, ScalarValue x, ScalarValue y) {
  return x.builder->select(condition, x, y);
}
ScalarValue fma(ScalarValue x, ScalarValue y, ScalarValue z) { return x.builder->fma(x, y, z); }
ScalarValue fma(ScalarValue x, double y, ScalarValue z) { return fma(x, x.builder->like(x, y), z); }
ScalarValue fma(ScalarValue x, ScalarValue y, double z) { return fma(x, y, x.builder->like(x, z)); }
ScalarValue isLess(ScalarValue x, double y) {
  return binary(ScalarOp::Less, x, x.builder->like(x, y));
}
ScalarValue atMost(ScalarValue x, double bound) {
  return binary(ScalarOp::Min, x.builder->like(x, bound), x);
}
ScalarValue atLeast(ScalarValue x, double bound) {
  return binary(ScalarOp::Max, x.builder->like(x, bound), x);
}

ScalarValue horner(ScalarValue x, std::initializer_list<double> coefficients) {
  ScalarValue sum = x.builder->like(x, *coefficients.begin());
  for (auto c = coefficients.begin() + 1; c != coefficients.end(); ++c) sum = fma(sum, x, *c);
  return sum;
}

ScalarValue withSign(ScalarValue x, ScalarValue y) {
  ScalarBuilder& b = *x.builder;
  const bool wide = x.dtype() == DType::F64;
  const DType bits = wide ? DType::U64 : DType::U32;
  const ScalarValue sign =
      b.constantInt(bits, wide ? std::numeric_limits<int64_t>::min() : int64_t{0x80000000});
  const ScalarValue taken = binary(ScalarOp::BitAnd, b.bitcast(y, bits), sign);
  const ScalarValue magnitude = b.bitcast(unary(ScalarOp::Abs, x), bits);
  return b.bitcast(binary(ScalarOp::BitOr, magnitude, taken), x.dtype());
}

namespace {

// x * 2^n, n a float that is an integer, rounded once.
ScalarValue scaled(ScalarValue x, ScalarValue n, const MathTarget& target) {
  if (target.ldexp) return binary(ScalarOp::Ldexp, x, n);
  ScalarBuilder& b = *x.builder;
  auto power = [&](ScalarValue exponent) {
    const ScalarValue biased = exponent + b.constantInt(DType::I32, 127);
    return b.bitcast(binary(ScalarOp::ShiftLeft, biased, b.constantInt(DType::I32, 23)),
                     DType::F32);
  };
  // In two steps, since 2^n alone may be no float.
  const ScalarValue whole = b.cast(n, DType::I32);
  const ScalarValue half = binary(ScalarOp::ShiftRight, whole, b.constantInt(DType::I32, 1));
  return x * power(half) * power(whole - half);
}

// The same where x * 2^n is a normal number.
ScalarValue scaledNormal(ScalarValue x, ScalarValue n, const MathTarget& target) {
  if (target.ldexp) return binary(ScalarOp::Ldexp, x, n);
  ScalarBuilder& b = *x.builder;
  const ScalarValue shifted =
      binary(ScalarOp::ShiftLeft, b.cast(n, DType::I32), b.constantInt(DType::I32, 23));
  return b.bitcast(b.bitcast(x, DType::I32) + shifted, DType::F32);
}

// 2^r, |r| <= 1/2.
ScalarValue exp2Fraction(ScalarValue r) {
  return horner(r, {0x1.470fa0p-13, 0x1.5f7486p-10, 0x1.3b25e0p-7, 0x1.c6ae20p-5, 0x1.ebfbe6p-3,
                    0x1.62e432p-1, 1});
}

// e^x for x up to `most`: x = n ln2 + r, e^x = 2^n e^r.
ScalarValue boundedExp(ScalarValue x, double most, const MathTarget& target) {
  const ScalarValue bounded = atLeast(atMost(x, most), -104);
  const ScalarValue n = unary(ScalarOp::RoundEven, bounded * 0x1.715476p+0);
  const ScalarValue r = fma(n, -0x1.7f7d1cp-20, fma(n, -0x1.62e4p-1, bounded));
  const ScalarValue p =
      horner(r, {0x1.6a2348p-10, 0x1.123e22p-7, 0x1.555906p-5, 0x1.555494p-3, 0x1.fffffap-2, 1, 1});
  return scaled(p, n, target);
}

}  // namespace

ScalarValue exp(ScalarValue x, const MathTarget& target) { return boundedExp(x, 88.8, target); }

ScalarValue powerOfTwo(ScalarValue x, const MathTarget& target) {
  const ScalarValue bounded = atLeast(x, -160);
  const ScalarValue n = unary(ScalarOp::RoundEven, bounded);
  return scaled(exp2Fraction(bounded - n), n, target);
}

// x = 2^k (1 + f), 1 + f from the root of 1/2 to the root of 2.
ScalarValue log(ScalarValue x) {
  ScalarBuilder& b = *x.builder;
  auto integer = [&](int64_t value) { return b.constantInt(DType::I32, value); };
  const ScalarValue subnormal = isLess(x, 0x1p-126);
  const ScalarValue normal = select(subnormal, x * 0x1p23, x);
  constexpr int64_t kRootOfHalf = 0x3f3504f3;
  const ScalarValue offset = b.bitcast(normal, DType::I32) - integer(kRootOfHalf);
  const ScalarValue exponent = binary(ScalarOp::ShiftRight, offset, integer(23));
  const ScalarValue mantissa =
      binary(ScalarOp::BitAnd, offset, integer(0x007fffff)) + integer(kRootOfHalf);
  const ScalarValue k =
      b.cast(exponent, DType::F32) + select(subnormal, b.like(x, -23), b.like(x, 0));
  const ScalarValue f = b.bitcast(mantissa, DType::F32) - 1.0;
  const ScalarValue p =
      horner(f, {0x1.145742p-4, -0x1.de3bc0p-4, 0x1.e6f06ap-4, -0x1.fc2200p-4, 0x1.23376cp-3,
                 -0x1.555c50p-3, 0x1.99a4b2p-3, -0x1.000008p-2, 0x1.555548p-2});
  const ScalarValue square = f * f;
  const ScalarValue tail = fma(square, -0.5, fma(k, 0x1.7f7d1cp-20, square * f * p));
  const ScalarValue finite = fma(k, 0x1.62e4p-1, f + tail);
  const double infinity = std::numeric_limits<double>::infinity();
  // Infinity and NaN give themselves, zero its pole, negative numbers NaN.
  const ScalarValue upTo = select(isLess(x, infinity), finite, x);
  const ScalarValue zero = binary(ScalarOp::Equal, x, b.like(x, 0));
  const ScalarValue low =
      select(zero, b.like(x, -infinity), b.like(x, std::numeric_limits<double>::quiet_NaN()));
  const ScalarValue positive = binary(ScalarOp::Less, b.like(x, 0), x);
  return select(positive, upTo, select(unary(ScalarOp::IsNan, x), x, low));
}

// Up to 1: x + x R(x^2); beyond: 1 - 2^-h(x). withSign restores -0, too.
ScalarValue erf(ScalarValue x, const MathTarget& target) {
  const ScalarValue square = x * x;
  const ScalarValue ratio = horner(square, {-0x1.273fb2p-11, 0x1.4246d4p-8, -0x1.b5a35cp-6,
                                            0x1.ce0942p-4, -0x1.812674p-2, 0x1.06eba2p-3});
  const ScalarValue near = fma(x, ratio, x);
  const ScalarValue a = atMost(unary(ScalarOp::Abs, x), 4);
  const ScalarValue h = horner(a, {0x1.b608dap-10, -0x1.5ec646p-6, 0x1.067280p-3, 0x1.e33b42p-1,
                                   0x1.9cc836p+0, 0x1.ed9af6p-9});
  const ScalarValue n = unary(ScalarOp::RoundEven, h);
  const ScalarValue r = n - h;
  const ScalarValue p = exp2Fraction(r);
  const ScalarValue far = 1.0 - scaledNormal(p, unary(ScalarOp::Neg, n), target);
  return withSign(select(isLess(a, 1), near, far), x);
}

// Up to 0.65: x + x^3 P(x^2); beyond: 1 - 2 / (e^2x + 1).
ScalarValue tanh(ScalarValue x, const MathTarget& target) {
  const ScalarValue square = x * x;
  const ScalarValue p = horner(
      square, {-0x1.697114p-8, 0x1.4f5ef6p-6, -0x1.b7cff2p-5, 0x1.1103f2p-3, -0x1.555524p-2});
  const ScalarValue near = fma(x, square * p, x);
  const ScalarValue a = atMost(unary(ScalarOp::Abs, x), 10);
  const ScalarValue n = unary(ScalarOp::RoundEven, a * 0x1.715476p+1);
  const ScalarValue r = fma(a, 0x1.4ae0c0p-25, fma(a, 0x1.715476p+1, unary(ScalarOp::Neg, n)));
  const ScalarValue power = exp2Fraction(r);
  const ScalarValue e = scaledNormal(power, n, target);
  const ScalarValue far = 1.0 - 2.0 / (e + 1.0);
  return withSign(select(isLess(a, 0.65), near, far), x);
}

// e^x / (1 + e^x), where e^x does not overflow; beyond, the quotient is 1.
ScalarValue sigmoid(ScalarValue x, const MathTarget& target) {
  const ScalarValue e = boundedExp(x, 88, target);
  return e / (e + 1.0);
}

}  // namespace lowered

namespace {

class Lowering {
 public:
  Lowering(const ScalarProgram& program, const MathTarget& target)
      : program_(program), target_(target), uses_(program.nodes.size(), 0) {
    for (const ScalarNode& node : program.nodes)
      for (int arg = 0; arg < scalarArity(node.op); ++arg) ++uses_[node.args[arg]];
    for (uint16_t output : program.outputs) ++uses_[output];
  }

  ScalarProgram run() {
    for (size_t i = 0; i < program_.nodes.size(); ++i) values_.push_back(lower(program_.nodes[i]));
    std::vector<ScalarValue> outputs;
    for (uint16_t output : program_.outputs) {
      const DType type = program_.nodes[output].dtype;
      const ScalarValue value = values_[output];
      outputs.push_back(value.dtype() == type ? value : builder_.cast(value, type));
    }
    return std::move(builder_).finish(outputs);
  }

 private:
  static bool isHalf(DType type) { return type == DType::F16 || type == DType::BF16; }

  const ScalarNode& argument(const ScalarNode& node, int i) const {
    return program_.nodes[node.args[i]];
  }
  ScalarValue value(const ScalarNode& node, int i) const { return values_[node.args[i]]; }

  std::optional<double> constant(const ScalarNode& node) const {
    if (node.op != ScalarOp::Constant) return std::nullopt;
    if (auto* real = std::get_if<double>(&node.value)) return *real;
    return std::nullopt;
  }

  ScalarValue lower(const ScalarNode& node) {
    const DType type = isHalf(node.dtype) ? DType::F32 : node.dtype;
    switch (node.op) {
      case ScalarOp::Input: {
        const ScalarValue in = builder_.input(node.index, node.dtype);
        return type == node.dtype ? in : builder_.cast(in, type);
      }
      case ScalarOp::Constant:
        if (auto* integer = std::get_if<int64_t>(&node.value))
          return builder_.constantInt(type, *integer);
        if (auto* real = std::get_if<double>(&node.value)) return builder_.constant(type, *real);
        return builder_.constant(type, std::get<std::complex<double>>(node.value).real());
      case ScalarOp::Cast: {
        ScalarValue from = value(node, 0);
        if (type != node.dtype && from.dtype() != type) from = builder_.cast(from, type);
        const ScalarValue cast = builder_.cast(from, node.dtype);
        return type == node.dtype ? cast : builder_.cast(cast, type);
      }
      case ScalarOp::Bitcast:
        return builder_.bitcast(value(node, 0), node.dtype);
      default:
        break;
    }
    if (type == DType::F32)
      if (auto lowered = function(node)) return *lowered;
    if (type == DType::F32 || type == DType::F64)
      if (auto fused = multiplyAdd(node)) return *fused;
    switch (scalarArity(node.op)) {
      case 1:
        return builder_.unary(node.op, value(node, 0));
      case 2:
        return builder_.binary(node.op, value(node, 0), value(node, 1));
      default:
        return node.op == ScalarOp::Fma
                   ? builder_.fma(value(node, 0), value(node, 1), value(node, 2))
                   : builder_.select(value(node, 0), value(node, 1), value(node, 2));
    }
  }

  std::optional<ScalarValue> function(const ScalarNode& node) {
    const ScalarValue x = value(node, 0);
    switch (node.op) {
      case ScalarOp::Exp:
        return lowered::exp(x, target_);
      case ScalarOp::Log:
        return lowered::log(x);
      case ScalarOp::Erf:
        return lowered::erf(x, target_);
      case ScalarOp::Tanh:
        return lowered::tanh(x, target_);
      case ScalarOp::Sigmoid:
        return lowered::sigmoid(x, target_);
      case ScalarOp::Div:
        return divide(node);
      case ScalarOp::Pow:
        if (auto exponent = constant(argument(node, 1)))
          if (auto power = constantPower(x, *exponent)) return power;
        return lowered::pow(x, value(node, 1), target_);
      case ScalarOp::Sin:
      case ScalarOp::Cos:
      case ScalarOp::Tan:
      case ScalarOp::Asin:
      case ScalarOp::Acos:
      case ScalarOp::Atan:
      case ScalarOp::Sinh:
      case ScalarOp::Cosh:
      case ScalarOp::Asinh:
      case ScalarOp::Acosh:
      case ScalarOp::Atanh:
        return lowered::throughDouble(node.op, x, target_);
      default:
        return std::nullopt;
    }
  }

  // By a power of two: exact as a product.
  std::optional<ScalarValue> divide(const ScalarNode& node) {
    const auto divisor = constant(argument(node, 1));
    int exponent = 0;
    if (!divisor || std::fabs(std::frexp(*divisor, &exponent)) != 0.5) return std::nullopt;
    if (exponent < -120 || exponent > 120) return std::nullopt;
    return value(node, 0) * (1 / *divisor);
  }

  std::optional<ScalarValue> constantPower(ScalarValue x, double exponent) {
    const double magnitude = std::fabs(exponent);
    if (exponent == 0) return builder_.like(x, 1);
    std::optional<ScalarValue> power;
    if (magnitude == std::floor(magnitude) && magnitude <= 4) {
      power = magnitude >= 2 ? x * x : x;
      if (magnitude == 3) power = *power * x;
      if (magnitude == 4) power = *power * *power;
    } else if (magnitude == 0.5) {
      // pow(-inf, 0.5) is inf and pow(-0, 0.5) is 0, where the square root differs.
      const double infinity = std::numeric_limits<double>::infinity();
      const ScalarValue negative = builder_.binary(ScalarOp::Equal, x, builder_.like(x, -infinity));
      power = builder_.select(negative, builder_.like(x, infinity),
                              builder_.unary(ScalarOp::Sqrt, x + 0.0));
    }
    if (!power) return std::nullopt;
    if (exponent < 0) return builder_.unary(ScalarOp::Reciprocal, *power);
    return power;
  }

  // a * b ± c with the product used once, as one fused operation.
  std::optional<ScalarValue> multiplyAdd(const ScalarNode& node) {
    const bool add = node.op == ScalarOp::Add;
    if (!add && node.op != ScalarOp::Sub) return std::nullopt;
    auto product = [&](int i) -> const ScalarNode* {
      const ScalarNode& arg = argument(node, i);
      const bool only = arg.op == ScalarOp::Mul && uses_[node.args[i]] == 1;
      return only ? &arg : nullptr;
    };
    if (const ScalarNode* left = product(0)) {
      if (add) return builder_.fma(value(*left, 0), value(*left, 1), value(node, 1));
      if (auto c = constant(argument(node, 1)))
        return builder_.fma(value(*left, 0), value(*left, 1), builder_.like(value(node, 1), -*c));
    }
    if (const ScalarNode* right = product(1)) {
      if (add) return builder_.fma(value(*right, 0), value(*right, 1), value(node, 0));
      for (int i : {0, 1})
        if (auto c = constant(argument(*right, i)))
          return builder_.fma(value(*right, 1 - i), builder_.like(value(node, 0), -*c),
                              value(node, 0));
    }
    return std::nullopt;
  }

  const ScalarProgram& program_;
  const MathTarget& target_;
  std::vector<int> uses_;
  ScalarBuilder builder_;
  std::vector<ScalarValue> values_;
};

}  // namespace

ScalarProgram lowerMath(const ScalarProgram& program, const MathTarget& target) {
  return Lowering(program, target).run();
}

}  // namespace carnot
