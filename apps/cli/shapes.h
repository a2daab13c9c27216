#pragma once

#include <carnot/builder.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace carnot::cli {

using Shapes = std::map<std::string, std::vector<int64_t>>;

// "name:value,other:value" as pairs. Names may hold colons; in single quotes, commas too. Throws
// Error (InvalidArgument).
std::vector<std::pair<std::string, std::string>> splitSpec(std::string_view text);

// "image:1x3x224x224,scale:scalar" gives dims by input; no dims after the colon mean a scalar too.
// Throws Error (InvalidArgument).
Shapes parseShapes(std::string_view text);

// A range for every input named in any of the three. What an input lacks follows: opt from max,
// else from min; then min and max from opt.
Profile makeProfile(const Shapes& min, const Shapes& opt, const Shapes& max);

std::string shapeText(const std::vector<int64_t>& dims);  // "1x3x224x224", "scalar"

}  // namespace carnot::cli
