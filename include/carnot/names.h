#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace carnot {

// The candidate closest to `name` by edit distance, case ignored, or "" when none is near: for "did
// you mean".
std::string closest(std::string_view name, const std::vector<std::string>& candidates);

}  // namespace carnot
