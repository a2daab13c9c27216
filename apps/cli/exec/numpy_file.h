#pragma once

#include <carnot/dtype.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

// Files of arrays, .npy, as NumPy's "NEP 1" describes them.
namespace carnot::cli::exec {

inline constexpr std::string_view kNumpyMagic = "\x93NUMPY";

// "<f4" of a type; a byte order for single bytes is "|". Types that NumPy lacks are stored as
// opaque bytes, "V2".
std::string numpyType(DType type);

// What stands before the bytes of a row-major array.
std::string numpyHeader(DType type, const std::vector<int64_t>& dims);

}  // namespace carnot::cli::exec
