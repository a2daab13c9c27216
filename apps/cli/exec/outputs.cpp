#include "cli/exec/outputs.h"

#include <carnot/contents.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cctype>
#include <nlohmann/json.hpp>

#include "cli/exec/export.h"

namespace carnot::cli::exec {

std::string fileName(std::string_view name) {
  std::string safe;
  for (unsigned char c : name)
    safe += std::isalnum(c) || c == '.' || c == '-' ? static_cast<char>(c) : '_';
  return safe;
}

void dumpOutputs(const Bindings& bindings, const Output& output) {
  output.info("Output Tensors:");
  for (const Binding& binding : bindings.all()) {
    if (binding.input) continue;
    std::string values;
    for (int64_t i = 0; i < binding.count(); ++i)
      values += (i > 0 ? " " : "") + elementText(binding.info.dtype, binding.host.data(), i);
    output.info(fmt::format("{}: ({})\n{}", binding.info.name, shapeText(binding.dims), values));
  }
}

void exportOutputs(const std::string& path, const Bindings& bindings) {
  nlohmann::ordered_json json = nlohmann::ordered_json::array();
  for (const Binding& binding : bindings.all()) {
    if (binding.input) continue;
    nlohmann::ordered_json values = nlohmann::ordered_json::array();
    for (int64_t i = 0; i < binding.count(); ++i) {
      std::string text = elementText(binding.info.dtype, binding.host.data(), i);
      nlohmann::ordered_json value = nlohmann::ordered_json::parse(text, nullptr, false);
      values.push_back(value.is_number() ? value : nlohmann::ordered_json(text));
    }
    json.push_back({{"name", binding.info.name},
                    {"dimensions", shapeText(binding.dims)},
                    {"values", std::move(values)}});
  }
  exportJson(path, json);
}

void dumpRawBindings(const Bindings& bindings, const Output& output) {
  for (const Binding& binding : bindings.all()) {
    std::string path = fmt::format("{}.{}.{}.{}.raw", fileName(binding.info.name),
                                   binding.input ? "input" : "output", shapeText(binding.dims),
                                   dtypeName(binding.info.dtype));
    exportBytes(path, {reinterpret_cast<const char*>(binding.host.data()), binding.host.size()});
    output.info(fmt::format("Wrote {}", path));
  }
}

}  // namespace carnot::cli::exec
