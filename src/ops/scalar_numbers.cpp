#include "ops/scalar_numbers.h"

#include <cmath>

#include "base/convert.h"

namespace carnot::scalar {

int64_t wrapped(DType type, int64_t value) {
  if (type == DType::Bool) return value != 0;
  int bits = dtypeBits(type);
  if (bits >= 64) return value;
  uint64_t mask = (uint64_t{1} << bits) - 1;
  uint64_t low = static_cast<uint64_t>(value) & mask;
  uint64_t sign = uint64_t{1} << (bits - 1);
  return static_cast<int64_t>(isSigned(type) ? (low ^ sign) - sign : low);
}

static bool unsigned64(DType type) { return type == DType::U64; }

int64_t divide(DType type, int64_t a, int64_t b) {
  if (b == 0) return 0;
  if (unsigned64(type))
    return static_cast<int64_t>(static_cast<uint64_t>(a) / static_cast<uint64_t>(b));
  return b == -1 ? static_cast<int64_t>(0 - static_cast<uint64_t>(a)) : a / b;
}

int64_t truncMod(DType type, int64_t a, int64_t b) {
  if (b == 0 || b == -1) return unsigned64(type) && b == -1 && a != b ? a : 0;
  if (unsigned64(type))
    return static_cast<int64_t>(static_cast<uint64_t>(a) % static_cast<uint64_t>(b));
  return a % b;
}

int64_t floorMod(DType type, int64_t a, int64_t b) {
  int64_t remainder = truncMod(type, a, b);
  bool otherSign = !unsigned64(type) && remainder != 0 && (remainder < 0) != (b < 0);
  return otherSign ? remainder + b : remainder;
}

double floorMod(double a, double b) {
  double remainder = std::fmod(a, b);
  return remainder != 0 && (remainder < 0) != (b < 0) ? remainder + b : remainder;
}

bool less(DType type, int64_t a, int64_t b) {
  return unsigned64(type) ? static_cast<uint64_t>(a) < static_cast<uint64_t>(b) : a < b;
}

int64_t power(DType type, int64_t base, int64_t exponent) {
  if (exponent < 0 && !unsigned64(type)) {
    if (base == 1) return 1;
    if (base == -1) return exponent % 2 == 0 ? 1 : -1;
    return 0;
  }
  uint64_t result = 1, square = static_cast<uint64_t>(base);
  for (auto left = static_cast<uint64_t>(exponent); left != 0; left >>= 1, square *= square)
    if (left & 1) result *= square;
  return static_cast<int64_t>(result);
}

int64_t shiftLeft(DType type, int64_t a, int64_t by) {
  if (by < 0 || by >= dtypeBits(type)) return 0;
  return static_cast<int64_t>(static_cast<uint64_t>(a) << by);
}

int64_t shiftRight(DType type, int64_t a, int64_t by) {
  if (by < 0 || by >= dtypeBits(type)) return !isSigned(type) || a >= 0 ? 0 : -1;
  return unsigned64(type) ? static_cast<int64_t>(static_cast<uint64_t>(a) >> by) : a >> by;
}

double roundTo(DType type, double value) {
  switch (type) {
    case DType::F64:
    case DType::C128:
      return value;
    case DType::F32:
    case DType::C64:
      return static_cast<float>(value);
    default:
      return decodeFloat(type, encodeFloat(type, value));
  }
}

double roundTo(DType type, DType from, int64_t value) {
  if (unsigned64(from) && value < 0) {
    auto large = static_cast<uint64_t>(value);
    return type == DType::F32 ? static_cast<float>(large)
                              : roundTo(type, static_cast<double>(large));
  }
  switch (type) {
    case DType::F64:
    case DType::C128:
      return static_cast<double>(value);
    case DType::F32:
    case DType::C64:
      return static_cast<float>(value);
    default:
      return decodeFloat(type, encodeFloat(type, value));
  }
}

int64_t toInteger(DType type, double value) {
  if (type == DType::Bool) return value != 0;
  if (unsigned64(type) && value >= 0x1p63 && value < 0x1p64)
    return static_cast<int64_t>(static_cast<uint64_t>(value));
  return wrapped(type, truncateToInt(value));
}

}  // namespace carnot::scalar
