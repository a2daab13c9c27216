#include "cli/exec/name_pattern.h"

#include <carnot/error.h>
#include <carnot/names.h>
#include <fmt/format.h>

#include <algorithm>

#include "cli/console.h"

namespace carnot::cli::exec {

bool matches(std::string_view pattern, std::string_view name) {
  size_t star = pattern.find('*');
  if (star == std::string_view::npos) return pattern == name;
  std::string_view head = pattern.substr(0, star), tail = pattern.substr(star + 1);
  return name.size() >= head.size() + tail.size() && name.starts_with(head) && name.ends_with(tail);
}

void requireMatch(std::string_view flag, const std::string& pattern,
                  const std::vector<std::string>& names) {
  if (std::ranges::any_of(names, [&](auto& name) { return matches(pattern, name); })) return;
  std::string near = closest(pattern, names);
  throw Error(ErrorCode::InvalidArgument, fmt::format("{}: no input named '{}'", flag, pattern),
              "one of: " + joinNames(names),
              near.empty() ? "" : fmt::format("did you mean '{}'?", near));
}

}  // namespace carnot::cli::exec
