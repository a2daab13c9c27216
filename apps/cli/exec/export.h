#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

namespace carnot::cli::exec {

// Writes a whole file. Throws Error (Io) naming it.
void exportBytes(const std::string& path, std::string_view bytes);
// An array has one element a line.
void exportJson(const std::string& path, const nlohmann::ordered_json& json);

}  // namespace carnot::cli::exec
