#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace carnot::cli::exec {

// Whether a name, or a pattern with one '*', stands for `name`.
bool matches(std::string_view pattern, std::string_view name);

// Throws Error (InvalidArgument) naming the flag and the nearest name when none matches.
void requireMatch(std::string_view flag, const std::string& pattern,
                  const std::vector<std::string>& names);

// The value under `name` itself, else under the longest pattern that matches it; null if none.
template <typename Value>
const Value* findByName(const std::map<std::string, Value>& patterns, const std::string& name) {
  if (auto exact = patterns.find(name); exact != patterns.end()) return &exact->second;
  const std::pair<const std::string, Value>* best = nullptr;
  for (const auto& entry : patterns)
    if (matches(entry.first, name) && (!best || entry.first.size() > best->first.size()))
      best = &entry;
  return best ? &best->second : nullptr;
}

}  // namespace carnot::cli::exec
