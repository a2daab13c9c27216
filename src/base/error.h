#pragma once

#include <carnot/error.h>
#include <fmt/core.h>

#include <string>
#include <string_view>
#include <vector>

namespace carnot {

// The candidate closest to `name` by edit distance, or "" when none is near: for "did you mean".
std::string closest(std::string_view name, const std::vector<std::string>& candidates);

// Throws Error (Internal) when a rule of our own is broken; never for what a user supplies.
[[noreturn]] void throwInternal(std::string what);
inline void ensure(bool condition, const char* what) {
  if (!condition) throwInternal(what);
}

}  // namespace carnot
