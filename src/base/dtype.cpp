#include <carnot/dtype.h>

#include <array>
#include <limits>

#include "base/error.h"

namespace carnot {
namespace {

enum class Class : uint8_t { Float, Signed, Unsigned, Bool, Complex };

struct Row {
  DType type;
  std::string_view name;
  uint8_t bits;
  Class kind;
};

// In the order of the enumeration.
constexpr std::array<Row, kDTypeCount> kRows = {{
    {DType::F32, "float32", 32, Class::Float},
    {DType::F64, "float64", 64, Class::Float},
    {DType::F16, "float16", 16, Class::Float},
    {DType::BF16, "bfloat16", 16, Class::Float},
    {DType::F8E4M3FN, "float8e4m3fn", 8, Class::Float},
    {DType::F8E4M3FNUZ, "float8e4m3fnuz", 8, Class::Float},
    {DType::F8E5M2, "float8e5m2", 8, Class::Float},
    {DType::F8E5M2FNUZ, "float8e5m2fnuz", 8, Class::Float},
    {DType::I8, "int8", 8, Class::Signed},
    {DType::I16, "int16", 16, Class::Signed},
    {DType::I32, "int32", 32, Class::Signed},
    {DType::I64, "int64", 64, Class::Signed},
    {DType::U8, "uint8", 8, Class::Unsigned},
    {DType::U16, "uint16", 16, Class::Unsigned},
    {DType::U32, "uint32", 32, Class::Unsigned},
    {DType::U64, "uint64", 64, Class::Unsigned},
    {DType::Bool, "bool", 8, Class::Bool},
    {DType::I4, "int4", 4, Class::Signed},
    {DType::U4, "uint4", 4, Class::Unsigned},
    {DType::I2, "int2", 2, Class::Signed},
    {DType::U2, "uint2", 2, Class::Unsigned},
    {DType::F4E2M1, "float4e2m1", 4, Class::Float},
    {DType::F8E8M0, "float8e8m0", 8, Class::Float},
    {DType::C64, "complex64", 64, Class::Complex},
    {DType::C128, "complex128", 128, Class::Complex},
}};

consteval bool inOrder() {
  for (int i = 0; i < kDTypeCount; ++i)
    if (kRows[i].type != static_cast<DType>(i)) return false;
  return true;
}
static_assert(inOrder());

const Row& row(DType type) {
  auto index = static_cast<size_t>(type);
  if (index >= kRows.size()) throwInternal(fmt::format("element type of value {}", index));
  return kRows[index];
}

}  // namespace

std::string_view dtypeName(DType type) { return row(type).name; }

bool parseDType(std::string_view name, DType& out) {
  for (const Row& candidate : kRows) {
    if (candidate.name != name) continue;
    out = candidate.type;
    return true;
  }
  return false;
}

int dtypeBits(DType type) { return row(type).bits; }
bool isFloat(DType type) { return row(type).kind == Class::Float; }
bool isInteger(DType type) {
  return row(type).kind == Class::Signed || row(type).kind == Class::Unsigned;
}
bool isSigned(DType type) {
  Class kind = row(type).kind;
  return kind == Class::Signed || kind == Class::Complex ||
         (kind == Class::Float && type != DType::F8E8M0);
}
bool isComplex(DType type) { return row(type).kind == Class::Complex; }

size_t dtypeBytes(DType type, int64_t count) {
  if (count < 0)
    throw Error(ErrorCode::InvalidArgument, fmt::format("{} elements", count), "at least 0");
  auto bits = static_cast<uint64_t>(row(type).bits);
  auto elements = static_cast<uint64_t>(count);
  if (bits < 8) return elements / (8 / bits) + (elements % (8 / bits) != 0);
  uint64_t bytes;
  constexpr auto kMost = static_cast<uint64_t>(std::numeric_limits<ptrdiff_t>::max());
  if (__builtin_mul_overflow(elements, bits / 8, &bytes) || bytes > kMost)
    throw Error(ErrorCode::OutOfMemory, fmt::format("{} elements of {}", count, dtypeName(type)),
                "less than 2^63 bytes");
  return bytes;
}

}  // namespace carnot
