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

// "image:1x3x224x224,scale:" gives dims by input; no dims after the colon mean a scalar. Names may
// hold colons. Throws Error (InvalidArgument).
Shapes parseShapes(std::string_view text);

// A range for every input named in any of the three. What an input lacks follows: opt from max,
// else from min; then min and max from opt.
Profile makeProfile(const Shapes& min, const Shapes& opt, const Shapes& max);

std::string shapeText(const std::vector<int64_t>& dims);  // "1x3x224x224", "scalar"

}  // namespace carnot::cli
