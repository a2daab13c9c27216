#include "cli/exec/export.h"

#include <carnot/error.h>
#include <fmt/format.h>

#include <cerrno>
#include <fstream>
#include <nlohmann/json.hpp>
#include <system_error>

namespace carnot::cli::exec {

void exportBytes(const std::string& path, std::string_view bytes) {
  std::ofstream file(path, std::ios::binary);
  file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  file.close();
  if (!file)
    throw Error(
        ErrorCode::Io,
        fmt::format("file {}: cannot be written: {}", path, std::generic_category().message(errno)),
        "room and permission to write it");
}

void exportJson(const std::string& path, const nlohmann::ordered_json& json) {
  // Names that are no UTF-8 must not stop a report.
  auto textOf = [](const nlohmann::ordered_json& value) {
    return value.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
  };
  if (!json.is_array()) return exportBytes(path, textOf(json) + "\n");
  std::string text = "[";
  for (size_t i = 0; i < json.size(); ++i) text += (i > 0 ? "\n, " : "\n  ") + textOf(json[i]);
  exportBytes(path, text + "\n]\n");
}

}  // namespace carnot::cli::exec
