// Functions of F32 that go through F64: with 29 bits to spare, plain formulas round correctly
// almost always.

#include <bit>
#include <cmath>
#include <limits>

#include "base/error.h"
#include "codegen/lower_math_functions.h"
#include "ops/scalar.h"

namespace carnot::lowered {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kPi = 0x1.921fb54442d18p+1;

ScalarValue constant64(ScalarBuilder& b, uint64_t bits) {
  return b.constantInt(DType::I64, static_cast<int64_t>(bits));
}

ScalarValue isEqual(ScalarValue x, double y) {
  return binary(ScalarOp::Equal, x, x.builder->like(x, y));
}

// Adding 3 * 2^51 to a small integer leaves it in the low bits of a double, and the reverse.
constexpr double kShift = 0x1.8p+52;

// 2^t.
ScalarValue exp2(ScalarValue t, const MathTarget& target) {
  ScalarBuilder& b = *t.builder;
  const ScalarValue bounded = atLeast(atMost(t, 1000), -1000);
  const ScalarValue n = unary(ScalarOp::RoundEven, bounded);
  const ScalarValue p =
      horner(bounded - n, {0x1.63f0cfe56a5c6p-20, 0x1.00ddeaae41090p-16, 0x1.43088d1299449p-13,
                           0x1.5d87446fd04a2p-10, 0x1.3b2ab72bab251p-7, 0x1.c6b08dd034d11p-5,
                           0x1.ebfbdff815331p-3, 0x1.62e42fef92d76p-1, 1});
  if (target.ldexp) return binary(ScalarOp::Ldexp, p, n);
  const ScalarValue exponent =
      binary(ScalarOp::ShiftLeft, b.bitcast(n + kShift, DType::I64), constant64(b, 52));
  return b.bitcast(b.bitcast(p, DType::I64) + exponent, DType::F64);
}

ScalarValue exp(ScalarValue x, const MathTarget& target) {
  return exp2(x * 0x1.71547652b82fep+0, target);
}

// Of normal doubles, zeros, infinities and NaN.
ScalarValue log2(ScalarValue x) {
  ScalarBuilder& b = *x.builder;
  constexpr uint64_t kRootOfHalf = std::bit_cast<uint64_t>(0x1.6a09e667f3bcdp-1);
  const ScalarValue root = constant64(b, kRootOfHalf);
  const ScalarValue offset = b.bitcast(x, DType::I64) - root;
  const ScalarValue exponent = binary(ScalarOp::ShiftRight, offset, constant64(b, 52));
  const ScalarValue k =
      b.bitcast(exponent + constant64(b, std::bit_cast<uint64_t>(kShift)), DType::F64) - kShift;
  const ScalarValue fraction = binary(ScalarOp::BitAnd, offset, constant64(b, 0x000fffffffffffff));
  const ScalarValue m = b.bitcast(fraction + root, DType::F64);
  const ScalarValue z = (m - 1.0) / (m + 1.0);
  const ScalarValue ratio =
      horner(z * z, {0x1.21b2cde881ca3p-2, 0x1.4795362c91467p-2, 0x1.a61a2f859d9edp-2,
                     0x1.2776c292615eep-1, 0x1.ec709dc53d193p-1, 0x1.71547652b8251p+1});
  const ScalarValue finite = fma(z, ratio, k);
  const ScalarValue upTo = select(isLess(x, kInfinity), finite, x);
  const ScalarValue low = select(isEqual(x, 0), b.like(x, -kInfinity), b.like(x, kNan));
  const ScalarValue positive = binary(ScalarOp::Less, b.like(x, 0), x);
  return select(positive, upTo, low);
}

ScalarValue log(ScalarValue x) { return log2(x) * 0x1.62e42fefa39efp-1; }

// |x| as quadrant (0 to 3, I64) and angle in [-pi/4, pi/4].
struct Angle {
  ScalarValue quadrant, rest;
};

// Payne and Hanek: |x| = m 2^e with m of 24 bits. Of 2/pi only the 96 bits matter that are worth
// less than 4 and more than the result's precision after the product with m 2^e.
Angle reduceAngle(ScalarValue x) {
  ScalarBuilder& b = *x.builder;
  const ScalarValue magnitude = unary(ScalarOp::Abs, x);
  const ScalarValue bits = b.cast(b.bitcast(magnitude, DType::U32), DType::I64);
  const ScalarValue biased = binary(ScalarOp::ShiftRight, bits, constant64(b, 23));
  const ScalarValue m =
      binary(ScalarOp::BitOr, binary(ScalarOp::BitAnd, bits, constant64(b, 0x7fffff)),
             constant64(b, 0x800000));
  // 2/pi from 31 bits before its point on, in words of 32 bits.
  constexpr uint64_t kTwoOverPi[] = {0,          0xa2f9836e, 0x4e441529, 0xfc2757d1,
                                     0xf534ddc0, 0xdb629599, 0x3c439041, 0xfe5163ab};
  const ScalarValue start = biased - constant64(b, 120);
  const ScalarValue word = binary(ScalarOp::ShiftRight, start, constant64(b, 5));
  const ScalarValue shift = binary(ScalarOp::BitAnd, start, constant64(b, 31));
  std::vector<ScalarValue> words;
  for (int i = 0; i < 4; ++i) {
    ScalarValue chosen = constant64(b, kTwoOverPi[i]);
    for (int at = 1; at <= 4; ++at)
      chosen = select(binary(ScalarOp::Equal, word, constant64(b, at)),
                      constant64(b, kTwoOverPi[i + at]), chosen);
    words.push_back(chosen);
  }
  auto unsignedValue = [&](ScalarValue v) { return b.bitcast(v, DType::U64); };
  auto amount = [&](uint64_t by) { return unsignedValue(constant64(b, by)); };
  auto window = [&](int i) {  // 32 bits
    const ScalarValue both = binary(
        ScalarOp::BitOr, binary(ScalarOp::ShiftLeft, words[i], constant64(b, 32)), words[i + 1]);
    return binary(ScalarOp::ShiftRight, unsignedValue(binary(ScalarOp::ShiftLeft, both, shift)),
                  amount(32));
  };
  const ScalarValue multiplier = unsignedValue(m);
  const ScalarValue top = binary(ScalarOp::ShiftLeft, multiplier * window(0), amount(32)) +
                          multiplier * window(1) +
                          binary(ScalarOp::ShiftRight, multiplier * window(2), amount(32));
  // Two bits of quadrants, 62 of fraction.
  const ScalarValue quadrant =
      binary(ScalarOp::ShiftRight, top + amount(uint64_t{1} << 61), amount(62));
  const ScalarValue fraction =
      b.bitcast(top - binary(ScalarOp::ShiftLeft, quadrant, amount(62)), DType::I64);
  const ScalarValue reduced = b.cast(fraction, DType::F64) * (kPi / 2 * 0x1p-62);

  const ScalarValue wide = b.cast(magnitude, DType::F64);
  const ScalarValue small = isLess(wide, 0.5);
  const ScalarValue rest = select(isLess(wide, kInfinity), reduced, b.constant(DType::F64, kNan));
  return {select(small, constant64(b, 0), b.bitcast(quadrant, DType::I64)),
          select(small, wide, rest)};
}

ScalarValue sineOf(ScalarValue r) {
  return r * horner(r * r, {-0x1.a94f5cf348bb0p-26, 0x1.71d72e61ea996p-19, -0x1.a019f89c31ea4p-13,
                            0x1.1111110bd9fb5p-7, -0x1.5555555550eb6p-3, 0x1.fffffffffffd9p-1});
}

ScalarValue cosineOf(ScalarValue r) {
  return horner(r * r, {-0x1.23c4dafb595e6p-22, 0x1.a00e919dcfcd6p-16, -0x1.6c16b2cab28edp-10,
                        0x1.55555544687f2p-5, -0x1.ffffffffe35a5p-2, 0x1.ffffffffffe09p-1});
}

ScalarValue bitOf(ScalarValue x, uint64_t mask) {
  ScalarBuilder& b = *x.builder;
  return binary(ScalarOp::Equal, binary(ScalarOp::BitAnd, x, constant64(b, mask)),
                constant64(b, mask));
}

ScalarValue negatedIf(ScalarValue condition, ScalarValue x) {
  return select(condition, unary(ScalarOp::Neg, x), x);
}

// x, negated where y's sign is set.
ScalarValue signFlipped(ScalarValue x, ScalarValue y) {
  ScalarBuilder& b = *x.builder;
  const ScalarValue sign =
      binary(ScalarOp::BitAnd, b.bitcast(y, DType::I64), constant64(b, uint64_t{1} << 63));
  return b.bitcast(binary(ScalarOp::BitXor, b.bitcast(x, DType::I64), sign), DType::F64);
}

ScalarValue sineOrCosine(ScalarValue x, bool cosine) {
  ScalarBuilder& b = *x.builder;
  const Angle angle = reduceAngle(x);
  const ScalarValue quadrant = cosine ? angle.quadrant + constant64(b, 1) : angle.quadrant;
  const ScalarValue value = negatedIf(
      bitOf(quadrant, 2), select(bitOf(quadrant, 1), cosineOf(angle.rest), sineOf(angle.rest)));
  return cosine ? value : signFlipped(value, b.cast(x, DType::F64));
}

ScalarValue tangent(ScalarValue x) {
  ScalarBuilder& b = *x.builder;
  const Angle angle = reduceAngle(x);
  const ScalarValue sine = sineOf(angle.rest), cosine = cosineOf(angle.rest);
  const ScalarValue odd = bitOf(angle.quadrant, 1);
  const ScalarValue value =
      select(odd, unary(ScalarOp::Neg, cosine), sine) / select(odd, sine, cosine);
  return signFlipped(value, b.cast(x, DType::F64));
}

// Below tan(pi/8) itself, above tan(3 pi/8) by -1/a, between by (a - 1)/(a + 1).
ScalarValue arctangent(ScalarValue x) {
  ScalarBuilder& b = *x.builder;
  const ScalarValue a = unary(ScalarOp::Abs, x);
  const ScalarValue low = isLess(a, 0.41421356237309503), high = isLess(a, 2.414213562373095);
  const ScalarValue one = b.like(x, 1);
  const ScalarValue numerator = select(low, a, select(high, a - one, b.like(x, -1)));
  const ScalarValue denominator = select(low, one, select(high, a + one, a));
  const ScalarValue offset =
      select(low, b.like(x, 0), select(high, b.like(x, kPi / 4), b.like(x, kPi / 2)));
  const ScalarValue q = numerator / denominator;
  const ScalarValue ratio =
      horner(q * q, {-0x1.353a8942efdb1p-5, 0x1.1de4248188c53p-4, -0x1.70638de1edd10p-4,
                     0x1.c6cdcd92f00a4p-4, -0x1.24909dbf3f96cp-3, 0x1.999990a27d9c8p-3,
                     -0x1.5555554c22bc7p-2, 0x1.fffffffffe735p-1});
  return withSign(fma(q, ratio, offset), x);
}

// Below 2^-6 the first terms of the odd series, where the formula cancels.
ScalarValue nearZero(ScalarValue x, double third, double fifth, ScalarValue formula) {
  const ScalarValue square = x * x;
  const ScalarValue series = fma(x, square * horner(square, {fifth, third}), x);
  return withSign(select(isLess(unary(ScalarOp::Abs, x), 0x1p-6), series, formula), x);
}

ScalarValue function(ScalarOp op, ScalarValue x, const MathTarget& target) {
  ScalarBuilder& b = *x.builder;
  const ScalarValue a = unary(ScalarOp::Abs, x);
  switch (op) {
    case ScalarOp::Atan:
      return arctangent(x);
    case ScalarOp::Asin:
      return 2.0 * arctangent(x / (unary(ScalarOp::Sqrt, (1.0 - x) * (1.0 + x)) + 1.0));
    case ScalarOp::Acos:
      return 2.0 * arctangent(unary(ScalarOp::Sqrt, (1.0 - x) / (1.0 + x)));
    case ScalarOp::Sinh: {
      const ScalarValue e = exp(a, target);
      return nearZero(x, 1.0 / 6, 1.0 / 120, (e - 1.0 / e) * 0.5);
    }
    case ScalarOp::Cosh: {
      const ScalarValue e = exp(a, target);
      return (e + 1.0 / e) * 0.5;
    }
    case ScalarOp::Asinh: {
      const ScalarValue root = unary(ScalarOp::Sqrt, fma(a, a, 1.0));
      return nearZero(x, -1.0 / 6, 3.0 / 40, log(a + root));
    }
    case ScalarOp::Acosh:
      return select(isLess(x, 1), b.like(x, kNan),
                    log(x + unary(ScalarOp::Sqrt, (x - 1.0) * (x + 1.0))));
    case ScalarOp::Atanh:
      return nearZero(x, 1.0 / 3, 1.0 / 5, 0.5 * log((b.like(x, 1) + x) / (1.0 - x)));
    default:
      throwInternal(std::string(scalarOpName(op)) + " has no lowering");
  }
}

}  // namespace

ScalarValue throughDouble(ScalarOp op, ScalarValue x, const MathTarget& target) {
  ScalarBuilder& b = *x.builder;
  auto inDouble = [&] {
    switch (op) {
      case ScalarOp::Sin:
        return sineOrCosine(x, false);
      case ScalarOp::Cos:
        return sineOrCosine(x, true);
      case ScalarOp::Tan:
        return tangent(x);
      default:
        return function(op, b.cast(x, DType::F64), target);
    }
  };
  return b.cast(inDouble(), DType::F32);
}

ScalarValue pow(ScalarValue base, ScalarValue exponent, const MathTarget& target) {
  ScalarBuilder& b = *base.builder;
  const ScalarValue x = b.cast(base, DType::F64), y = b.cast(exponent, DType::F64);
  const ScalarValue a = unary(ScalarOp::Abs, x);
  const ScalarValue one = b.like(x, 1);
  const ScalarValue power = select(isEqual(a, 1), one, exp2(y * log2(a), target));
  auto isWhole = [](ScalarValue v) {
    return binary(ScalarOp::Equal, unary(ScalarOp::Floor, v), v);
  };
  const ScalarValue whole = isWhole(y);
  const ScalarValue odd = binary(ScalarOp::And, whole, unary(ScalarOp::Not, isWhole(y * 0.5)));
  const ScalarValue negative = binary(ScalarOp::Less, b.bitcast(x, DType::I64), constant64(b, 0));
  const ScalarValue isSigned = negatedIf(binary(ScalarOp::And, odd, negative), power);
  const ScalarValue finiteNegative =
      binary(ScalarOp::And, isLess(x, 0), binary(ScalarOp::Less, b.like(x, -kInfinity), x));
  const ScalarValue undefined = binary(ScalarOp::And, finiteNegative, unary(ScalarOp::Not, whole));
  const ScalarValue defined = select(undefined, b.like(x, kNan), isSigned);
  return b.cast(select(isEqual(y, 0), one, defined), DType::F32);
}

}  // namespace carnot::lowered
