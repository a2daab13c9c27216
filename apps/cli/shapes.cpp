#include "cli/shapes.h"

#include <carnot/error.h>
#include <fmt/ranges.h>

#include <charconv>

namespace carnot::cli {

namespace {

constexpr std::string_view kScalar = "scalar";

[[noreturn]] void refuse(std::string_view entry, std::string_view why) {
  throw Error(ErrorCode::InvalidArgument, fmt::format("'{}': {}", entry, why),
              "NAME:DIMxDIM…, several joined by commas", "write for instance image:1x3x224x224");
}

std::vector<int64_t> parseDims(std::string_view text, std::string_view entry) {
  std::vector<int64_t> dims;
  while (!text.empty()) {
    int64_t dim = -1;
    auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), dim);
    if (failed != std::errc() || dim < 0) refuse(entry, "a dim that is no count");
    dims.push_back(dim);
    text.remove_prefix(static_cast<size_t>(end - text.data()));
    if (text.empty()) break;
    if (text[0] != 'x' || text.size() == 1) refuse(entry, "dims that are not joined by x");
    text.remove_prefix(1);
  }
  return dims;
}

const std::vector<int64_t>* find(const Shapes& shapes, const std::string& name) {
  auto found = shapes.find(name);
  return found == shapes.end() ? nullptr : &found->second;
}

}  // namespace

std::vector<std::pair<std::string, std::string>> splitSpec(std::string_view text) {
  std::vector<std::pair<std::string, std::string>> entries;
  while (true) {
    // A name in single quotes may hold anything else.
    size_t quoted = text.starts_with('\'') ? text.find("':", 1) : std::string_view::npos;
    bool hasQuotes = quoted != std::string_view::npos;
    size_t comma = text.find(',', hasQuotes ? quoted : 0);
    std::string_view entry = text.substr(0, comma);
    size_t colon = hasQuotes ? quoted + 1 : entry.rfind(':');
    if (colon == std::string_view::npos || colon == 0)
      throw Error(ErrorCode::InvalidArgument, fmt::format("'{}': no input's name", entry),
                  "NAME:VALUE, several joined by commas");
    std::string_view name = hasQuotes ? entry.substr(1, quoted - 1) : entry.substr(0, colon);
    entries.emplace_back(name, entry.substr(colon + 1));
    if (comma == std::string_view::npos) return entries;
    text.remove_prefix(comma + 1);
  }
}

Shapes parseShapes(std::string_view text) {
  Shapes shapes;
  for (const auto& [name, value] : splitSpec(text)) {
    const std::string entry = fmt::format("{}:{}", name, value);
    std::vector<int64_t> dims;
    if (value != kScalar) dims = parseDims(value, entry);
    if (!shapes.emplace(name, std::move(dims)).second) refuse(entry, "a second shape of one input");
  }
  return shapes;
}

Profile makeProfile(const Shapes& min, const Shapes& opt, const Shapes& max) {
  Shapes names = min;
  names.insert(opt.begin(), opt.end());
  names.insert(max.begin(), max.end());
  Profile profile;
  for (const auto& entry : names) {
    const std::string& name = entry.first;
    const std::vector<int64_t>* least = find(min, name);
    const std::vector<int64_t>* most = find(max, name);
    const std::vector<int64_t>* usual = find(opt, name);
    if (!usual) usual = most ? most : least;
    if (!usual) continue;  // not so: one of the three has the name
    profile.inputs[name] = {least ? *least : *usual, *usual, most ? *most : *usual};
  }
  return profile;
}

std::string shapeText(const std::vector<int64_t>& dims) {
  return dims.empty() ? std::string(kScalar) : fmt::format("{}", fmt::join(dims, "x"));
}

}  // namespace carnot::cli
