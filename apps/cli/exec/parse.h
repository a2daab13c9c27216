#pragma once

#include <span>
#include <string>
#include <utility>
#include <vector>

#include "cli/exec/options.h"

namespace carnot::cli::exec {

// A command line understood as far as it can be.
struct ParsedLine {
  Options options;
  std::vector<std::string> unknown;   // each with the nearest name, if one is near
  std::vector<std::string> problems;  // refused flags, bad values, contradictions
  // Flags that change nothing, each with why.
  std::vector<std::pair<std::string, std::string>> idle;
};

ParsedLine parseLine(std::span<const std::string> arguments);

}  // namespace carnot::cli::exec
