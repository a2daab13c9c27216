#include "cli/exec/io_formats.h"

#include <carnot/error.h>
#include <fmt/format.h>

#include <algorithm>

#include "cli/exec/values.h"

namespace carnot::cli::exec {

namespace {

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  while (true) {
    size_t end = text.find(separator);
    parts.push_back(text.substr(0, end));
    if (end == std::string_view::npos) return parts;
    text.remove_prefix(end + 1);
  }
}

[[noreturn]] void refuse(const char* flag, std::string has, std::string needs) {
  throw Error(ErrorCode::InvalidArgument, fmt::format("{}: {}", flag, has), std::move(needs));
}

DType typeOfEntry(const char* flag, std::string_view entry) {
  size_t colon = entry.find(':');
  std::vector<std::string_view> formats;
  if (colon != std::string_view::npos) formats = split(entry.substr(colon + 1), '+');
  if (std::ranges::find(formats, "chw") == formats.end())
    refuse(flag, fmt::format("'{}'", entry), "TYPE:chw, the format in which tensors are passed");
  try {
    return typeOf(entry.substr(0, colon));
  } catch (const Error& error) {
    refuse(flag, error.has(), error.needs());
  }
}

void apply(const char* flag, std::string_view text, const std::vector<TensorInfo>& tensors,
           Network& network) {
  if (text.empty()) return;
  std::vector<std::string_view> entries = split(text, ',');
  if (entries.size() != 1 && entries.size() != tensors.size())
    refuse(flag, fmt::format("{} entries", entries.size()),
           fmt::format("1, or {} for as many tensors", tensors.size()));
  for (size_t i = 0; i < tensors.size(); ++i) {
    DType type = typeOfEntry(flag, entries[entries.size() == 1 ? 0 : i]);
    if (type != tensors[i].dtype) network.setDType(tensors[i].name, type);
  }
}

}  // namespace

void applyFormats(const BuildFlags& flags, Network& network) {
  apply("--inputIOFormats", flags.inputFormats, network.inputs(), network);
  apply("--outputIOFormats", flags.outputFormats, network.outputs(), network);
}

}  // namespace carnot::cli::exec
