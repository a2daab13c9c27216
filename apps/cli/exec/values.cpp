#include "cli/exec/values.h"

#include <carnot/error.h>
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "cli/console.h"

namespace carnot::cli::exec {

namespace {

[[noreturn]] void refuse(std::string has, std::string needs, std::string remedy = {}) {
  throw Error(ErrorCode::InvalidArgument, std::move(has), std::move(needs), std::move(remedy));
}

template <typename T>
bool parse(std::string_view text, T& value) {
  auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), value);
  return failed == std::errc() && end == text.data() + text.size();
}

}  // namespace

int wholeNumber(std::string_view text, int least, int most) {
  int value = 0;
  if (parse(text, value) && value >= least && value <= most) return value;
  refuse(fmt::format("'{}'", text), most == INT32_MAX
                                        ? fmt::format("a whole number from {} up", least)
                                        : fmt::format("a whole number from {} to {}", least, most));
}

double number(std::string_view text, double least, double most) {
  double value = 0;
  if (parse(text, value) && value >= least && value <= most) return value;
  refuse(fmt::format("'{}'", text), fmt::format("a number from {:g} to {:g}", least, most));
}

std::vector<double> percentiles(std::string_view text) {
  std::vector<double> values;
  while (true) {
    size_t comma = text.find(',');
    values.push_back(number(text.substr(0, comma), 0, 100));
    if (comma == std::string_view::npos) return values;
    text.remove_prefix(comma + 1);
  }
}

double mebibytes(std::string_view text) { return number(text, 0, 1e9); }

double workspacePool(std::string_view text) {
  constexpr std::string_view kPool = "workspace:";
  if (!text.starts_with(kPool) || text.find(',') != std::string_view::npos)
    refuse(fmt::format("'{}'", text), "workspace:SIZE, the only pool of memory in this build",
           "write for instance workspace:1024 (MiB) or workspace:1.5G");
  text.remove_prefix(kPool.size());
  constexpr std::pair<char, double> kUnits[] = {
      {'B', 1.0 / (1 << 20)}, {'K', 1.0 / (1 << 10)}, {'M', 1}, {'G', 1 << 10}};
  for (auto [suffix, unit] : kUnits)
    if (text.ends_with(suffix)) return mebibytes(text.substr(0, text.size() - 1)) * unit;
  return mebibytes(text);
}

Shapes shapePatterns(std::string_view text) {
  Shapes shapes = parseShapes(text);
  for (const auto& entry : shapes)
    if (std::ranges::count(entry.first, '*') > 1)
      refuse(fmt::format("name '{}'", entry.first), "one * at most");
  return shapes;
}

DType typeOf(std::string_view name) {
  constexpr std::pair<std::string_view, DType> kTypes[] = {
      {"fp32", DType::F32},  {"fp16", DType::F16},  {"bf16", DType::BF16}, {"int8", DType::I8},
      {"int32", DType::I32}, {"int64", DType::I64}, {"uint8", DType::U8},  {"bool", DType::Bool},
  };
  std::vector<std::string> names;
  for (const auto& [known, type] : kTypes) {
    if (known == name) return type;
    names.emplace_back(known);
  }
  refuse(fmt::format("'{}'", name), "a type of " + joinNames(names));
}

std::map<std::string, DType> layerTypes(std::string_view text) {
  std::map<std::string, DType> types;
  for (auto& [name, type] : splitSpec(text)) {
    if (type.empty() || std::ranges::count(name, '*') > 1)
      refuse(fmt::format("'{}'", name), "LAYER:TYPE, with one * at most");
    if (!types.emplace(name, typeOf(std::string_view(type).substr(0, type.find('+')))).second)
      refuse(fmt::format("two types for '{}'", name), "one for each layer");
  }
  return types;
}

std::map<std::string, std::string> namedFiles(std::string_view text) {
  std::map<std::string, std::string> files;
  for (auto& [name, file] : splitSpec(text)) {
    if (file.empty()) refuse(fmt::format("no file for '{}'", name), "NAME:FILE");
    if (!files.emplace(name, file).second)
      refuse(fmt::format("two files for '{}'", name), "one for each name");
  }
  return files;
}

double positive(std::string_view text) {
  double value = number(text, 0);
  if (value > 0) return value;
  refuse(fmt::format("'{}'", text), "a number above 0");
}

std::vector<std::string> words(std::string_view text) {
  std::vector<std::string> found;
  while (true) {
    size_t comma = text.find(',');
    found.emplace_back(text.substr(0, comma));
    if (found.back().empty()) refuse("an empty name", "names parted by commas");
    if (comma == std::string_view::npos) return found;
    text.remove_prefix(comma + 1);
  }
}

Accuracy accuracyOf(std::string_view text) {
  constexpr std::pair<std::string_view, Accuracy> kKinds[] = {{"l0", Accuracy::L0},
                                                              {"l1", Accuracy::L1},
                                                              {"l2", Accuracy::L2},
                                                              {"lInf", Accuracy::LInf},
                                                              {"cos", Accuracy::Cos}};
  for (const auto& [name, kind] : kKinds)
    if (name == text) return kind;
  refuse(fmt::format("'{}'", text), "l0, l1, l2, lInf or cos");
}

std::vector<std::string> debugFormats(std::string_view text) {
  std::vector<std::string> formats = words(text);
  for (const std::string& format : formats)
    if (format != "summary" && format != "numpy" && format != "raw" && format != "string")
      refuse(fmt::format("'{}'", format), "summary, numpy, raw or string");
  return formats;
}

std::vector<std::string> kernelsLeftOut(std::string_view text) {
  // Of these libraries CUBLAS and the convolutions by edge masks have no kernel here.
  constexpr std::pair<std::string_view, std::string_view> kSources[] = {
      {"CUBLAS", ""},
      {"CUBLAS_LT", "cublaslt"},
      {"CUDNN", "cudnn"},
      {"EDGE_MASK_CONVOLUTIONS", ""},
      {"JIT_CONVOLUTIONS", "cuda/conv"}};
  std::vector<std::string> kernels;
  for (const std::string& word : words(text)) {
    auto source = std::ranges::find(kSources, std::string_view(word).substr(1),
                                    &std::pair<std::string_view, std::string_view>::first);
    if ((word[0] != '+' && word[0] != '-') || source == std::end(kSources))
      refuse(fmt::format("'{}'", word),
             "+ or - before CUBLAS, CUBLAS_LT, CUDNN, EDGE_MASK_CONVOLUTIONS or JIT_CONVOLUTIONS");
    std::string kernel(source->second);
    if (kernel.empty()) continue;
    std::erase(kernels, kernel);  // the last word on it holds
    if (word[0] == '-') kernels.push_back(kernel);
  }
  return kernels;
}

}  // namespace carnot::cli::exec
