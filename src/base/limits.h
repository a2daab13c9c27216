#pragma once

#include <cstddef>

namespace carnot {

inline constexpr size_t kMaxRank = 64;  // of any tensor of a model or an engine

}  // namespace carnot
