#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace carnot {

// Element types. The values are part of the engine format: append only.
enum class DType : uint8_t {
  F32 = 0,
  F64,
  F16,
  BF16,
  F8E4M3FN,
  F8E4M3FNUZ,
  F8E5M2,
  F8E5M2FNUZ,
  I8,
  I16,
  I32,
  I64,
  U8,
  U16,
  U32,
  U64,
  Bool,
  I4,
  U4,
  I2,
  U2,
  F4E2M1,
  F8E8M0,
  C64,   // two floats
  C128,  // two doubles
};
inline constexpr int kDTypeCount = 25;

std::string_view dtypeName(DType type);  // "float32", "int64", ...
bool parseDType(std::string_view name, DType& out);
int dtypeBits(DType type);  // 4 for I4; 8 for Bool
bool isFloat(DType type);   // every real floating-point type
bool isInteger(DType type);  // signed or unsigned, not Bool
bool isSigned(DType type);
bool isComplex(DType type);

// Bytes that `count` elements take; types of less than a byte are packed, the first element in the
// low bits. Throws Error (OutOfMemory) when the count overflows.
size_t dtypeBytes(DType type, int64_t count);

}  // namespace carnot
