#pragma once

#include <carnot/error.h>
#include <fmt/core.h>

#include <string>

namespace carnot {

// Throws Error (Internal) when a rule of our own is broken; never for what a user supplies.
[[noreturn]] void throwInternal(std::string what);
inline void ensure(bool condition, const char* what) {
  if (!condition) throwInternal(what);
}

}  // namespace carnot
