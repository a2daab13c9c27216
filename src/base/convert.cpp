#include "base/convert.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include "base/error.h"

namespace carnot {
namespace {

// A binary format with a sign bit above exponent and mantissa.
struct Format {
  int mantissaBits;
  int bias;
  uint32_t sign;           // the sign bit; 0 in types without
  uint32_t maxFinite;      // the code of the largest finite magnitude
  uint32_t infinity;       // 0 where there is none
  uint32_t nan;            // 0 where there is none
  bool unsignedNan;        // the one NaN is what would be negative zero (the FNUZ types)
  bool overflowSaturates;  // with or without the caller's wish
};

constexpr Format kHalf = {10, 15, 0x8000, 0x7BFF, 0x7C00, 0x7E00, false, false};
constexpr Format kBfloat16 = {7, 127, 0x8000, 0x7F7F, 0x7F80, 0x7FC0, false, false};
constexpr Format kE4M3FN = {3, 7, 0x80, 0x7E, 0, 0x7F, false, false};
constexpr Format kE4M3FNUZ = {3, 8, 0x80, 0x7F, 0, 0x80, true, false};
constexpr Format kE5M2 = {2, 15, 0x80, 0x7B, 0x7C, 0x7E, false, false};
constexpr Format kE5M2FNUZ = {2, 16, 0x80, 0x7F, 0, 0x80, true, false};
constexpr Format kE2M1 = {1, 1, 0x8, 0x7, 0, 0, false, true};

const Format& formatOf(DType type) {
  switch (type) {
    case DType::F16:
      return kHalf;
    case DType::BF16:
      return kBfloat16;
    case DType::F8E4M3FN:
      return kE4M3FN;
    case DType::F8E4M3FNUZ:
      return kE4M3FNUZ;
    case DType::F8E5M2:
      return kE5M2;
    case DType::F8E5M2FNUZ:
      return kE5M2FNUZ;
    case DType::F4E2M1:
      return kE2M1;
    default:
      throwInternal(fmt::format("{} is not a small float", dtypeName(type)));
  }
}

// mantissa * 2^exponent.
struct Magnitude {
  uint64_t mantissa;
  int exponent;
  int log2() const { return 63 - std::countl_zero(mantissa) + exponent; }
};

Magnitude magnitudeOf(double finite) {
  auto bits = std::bit_cast<uint64_t>(finite);
  uint64_t fraction = bits & ((uint64_t{1} << 52) - 1);
  int exponent = static_cast<int>(bits >> 52 & 0x7FF);
  if (exponent == 0) return {fraction, -1074};
  return {fraction | uint64_t{1} << 52, exponent - 1075};
}

Magnitude magnitudeOf(int64_t value) {
  return {value < 0 ? uint64_t{0} - static_cast<uint64_t>(value) : static_cast<uint64_t>(value), 0};
}

// value >> bits, rounded to nearest even.
uint64_t shiftRounded(uint64_t value, int bits) {
  if (bits > 64) return 0;
  uint64_t kept = bits == 64 ? 0 : value >> bits;
  uint64_t dropped = bits == 64 ? value : value & ((uint64_t{1} << bits) - 1);
  uint64_t half = uint64_t{1} << (bits - 1);
  return kept + (dropped > half || (dropped == half && (kept & 1)));
}

// The nearest code, ties to even, as if exponents went on above the format's largest.
uint32_t nearestCode(Magnitude value, const Format& format) {
  if (value.mantissa == 0) return 0;
  int exponent = std::max(value.log2(), 1 - format.bias);
  int drop = exponent - format.mantissaBits - value.exponent;
  uint64_t significand = drop <= 0 ? value.mantissa << -drop : shiftRounded(value.mantissa, drop);
  return static_cast<uint32_t>(exponent + format.bias - 1) * (1u << format.mantissaBits) +
         static_cast<uint32_t>(significand);
}

uint32_t nanCode(const Format& format, bool negative) {
  if (format.nan == 0)
    return format.sign;  // -0, where there is no NaN: as onnx's own cases have it
  return format.nan | (negative ? format.sign : 0);
}

uint32_t overflowCode(const Format& format, bool negative, bool saturate) {
  bool narrow = format.sign <= 0x80;
  uint32_t sign = negative ? format.sign : 0;
  if ((saturate && narrow) || format.overflowSaturates) return format.maxFinite | sign;
  return format.infinity != 0 ? format.infinity | sign : nanCode(format, negative);
}

uint32_t encodeFinite(const Format& format, Magnitude value, bool negative, bool saturate) {
  uint32_t code = nearestCode(value, format);
  if (code > format.maxFinite) return overflowCode(format, negative, saturate);
  if (code == 0 && format.unsignedNan) return 0;
  return code | (negative ? format.sign : 0);
}

constexpr uint32_t kScaleNan = 0xFF, kScaleMax = 0xFE;
constexpr int kScaleBias = 127;

// E8M0 has powers of two alone: no sign, no zero. The sign is dropped.
uint32_t encodeScale(Magnitude value, bool saturate, ScaleRounding rounding) {
  if (value.mantissa == 0) return saturate ? 0 : kScaleNan;
  int exponent = value.log2();
  uint64_t fraction = value.mantissa << std::countl_zero(value.mantissa) << 1;
  if (rounding == ScaleRounding::Up) exponent += fraction != 0;
  if (rounding == ScaleRounding::Nearest) exponent += fraction >> 63 != 0;
  int code = exponent + kScaleBias;
  if (code < 0) return saturate ? 0 : kScaleNan;
  if (code > static_cast<int>(kScaleMax)) return saturate ? kScaleMax : kScaleNan;
  return static_cast<uint32_t>(code);
}

}  // namespace

double decodeFloat(DType type, uint32_t code) {
  constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
  if (type == DType::F8E8M0)
    return code == kScaleNan ? kNan : std::ldexp(1.0, static_cast<int>(code) - kScaleBias);
  const Format& format = formatOf(type);
  if (format.unsignedNan && code == format.nan) return kNan;
  bool negative = (code & format.sign) != 0;
  uint32_t magnitude = code & (format.sign - 1);
  double value;
  if (magnitude > format.maxFinite) {
    bool infinite = format.infinity != 0 && magnitude == format.infinity;
    value = infinite ? std::numeric_limits<double>::infinity() : kNan;
  } else {
    uint32_t exponent = magnitude >> format.mantissaBits;
    uint32_t significand = magnitude & ((1u << format.mantissaBits) - 1);
    if (exponent != 0) significand |= 1u << format.mantissaBits;
    value = std::ldexp(static_cast<double>(significand), static_cast<int>(std::max(exponent, 1u)) -
                                                             format.bias - format.mantissaBits);
  }
  return negative ? -value : value;
}

uint32_t encodeFloat(DType type, double value, bool saturate, ScaleRounding rounding) {
  if (type == DType::F8E8M0) {
    if (std::isnan(value)) return kScaleNan;
    if (std::isinf(value)) return saturate ? kScaleMax : kScaleNan;
    return encodeScale(magnitudeOf(value), saturate, rounding);
  }
  const Format& format = formatOf(type);
  bool negative = std::signbit(value);
  if (std::isnan(value)) {
    if (type == DType::F16) return floatToHalf(static_cast<float>(value));
    if (type == DType::BF16) return floatToBfloat16(static_cast<float>(value));
    return nanCode(format, negative);
  }
  if (std::isinf(value)) return overflowCode(format, negative, saturate);
  return encodeFinite(format, magnitudeOf(value), negative, saturate);
}

uint32_t encodeFloat(DType type, int64_t value, bool saturate, ScaleRounding rounding) {
  if (type == DType::F8E8M0) return encodeScale(magnitudeOf(value), saturate, rounding);
  return encodeFinite(formatOf(type), magnitudeOf(value), value < 0, saturate);
}

float halfToFloat(uint16_t bits) {
  uint32_t sign = static_cast<uint32_t>(bits & 0x8000) << 16;
  uint32_t rest = bits & 0x7FFF;
  if (rest > 0x7C00) return std::bit_cast<float>(sign | 0x7FC00000 | rest << 13);
  if (rest == 0x7C00) return std::bit_cast<float>(sign | 0x7F800000);
  if (rest >= 0x400) return std::bit_cast<float>(sign | ((rest << 13) + (112u << 23)));
  float magnitude = static_cast<float>(rest) * 0x1p-24f;
  return std::bit_cast<float>(sign | std::bit_cast<uint32_t>(magnitude));
}

uint16_t floatToHalf(float value) {
  auto bits = std::bit_cast<uint32_t>(value);
  uint32_t sign = bits >> 16 & 0x8000, rest = bits & 0x7FFFFFFF;
  if (rest > 0x7F800000) return static_cast<uint16_t>(sign | 0x7E00 | (rest >> 13 & 0x3FF));
  constexpr uint32_t kInfinite = 0x477FF000;  // 65520 rounds to infinity
  if (rest >= kInfinite) return static_cast<uint16_t>(sign | 0x7C00);
  constexpr uint32_t kNormal = 0x38800000, kBias = 112u << 23;
  if (rest >= kNormal)
    return static_cast<uint16_t>(sign | (rest - kBias + 0xFFF + (rest >> 13 & 1)) >> 13);
  // Beside 1/2 the last place is half's smallest number, so that the sum is rounded to it.
  const auto sum = std::bit_cast<uint32_t>(std::bit_cast<float>(rest) + 0.5f);
  return static_cast<uint16_t>(sign | (sum - std::bit_cast<uint32_t>(0.5f)));
}

float bfloat16ToFloat(uint16_t bits) {
  return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16);
}

uint16_t floatToBfloat16(float value) {
  auto bits = std::bit_cast<uint32_t>(value);
  if ((bits & 0x7FFFFFFF) > 0x7F800000) return static_cast<uint16_t>(bits >> 16 | 0x40);
  return static_cast<uint16_t>((bits + 0x7FFF + (bits >> 16 & 1)) >> 16);
}

double decodeSmallFloat(DType type, uint8_t code) { return decodeFloat(type, code); }

uint8_t encodeSmallFloat(DType type, double value, bool saturate, ScaleRounding rounding) {
  return static_cast<uint8_t>(encodeFloat(type, value, saturate, rounding));
}

int64_t truncateToInt(double value) {
  if (value >= -0x1p63 && value < 0x1p63) return static_cast<int64_t>(value);
  return std::numeric_limits<int64_t>::min();
}

}  // namespace carnot
