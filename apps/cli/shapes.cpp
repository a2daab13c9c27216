#include "cli/shapes.h"

#include <carnot/error.h>
#include <fmt/ranges.h>

#include <charconv>

namespace carnot::cli {

namespace {

[[noreturn]] void refuse(std::string_view entry, std::string_view why) {
  throw Error(ErrorCode::InvalidArgument, fmt::format("shape '{}': {}", entry, why),
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

Shapes parseShapes(std::string_view text) {
  Shapes shapes;
  while (true) {
    size_t comma = text.find(',');
    std::string_view entry = text.substr(0, comma);
    size_t colon = entry.rfind(':');
    if (colon == std::string_view::npos || colon == 0) refuse(entry, "no input's name");
    std::string name(entry.substr(0, colon));
    if (!shapes.emplace(name, parseDims(entry.substr(colon + 1), entry)).second)
      refuse(entry, "a second shape of one input");
    if (comma == std::string_view::npos) return shapes;
    text.remove_prefix(comma + 1);
  }
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
    profile.inputs[name] = {least ? *least : *usual, *usual, most ? *most : *usual};
  }
  return profile;
}

std::string shapeText(const std::vector<int64_t>& dims) {
  return dims.empty() ? "scalar" : fmt::format("{}", fmt::join(dims, "x"));
}

}  // namespace carnot::cli
