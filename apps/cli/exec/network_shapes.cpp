#include "cli/exec/network_shapes.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>

#include "cli/exec/name_pattern.h"

namespace carnot::cli::exec {

namespace {

void checkNames(const char* flag, const Shapes& patterns, const std::vector<TensorInfo>& inputs) {
  std::vector<std::string> names;
  names.reserve(inputs.size());
  for (const TensorInfo& input : inputs) names.push_back(input.name);
  for (const auto& entry : patterns) requireMatch(flag, entry.first, names);
}

// A dim's number; none for a symbol.
std::optional<int64_t> fixedDim(const std::string& dim) {
  int64_t value = 0;
  const char* last = dim.data() + dim.size();
  auto [end, failed] = std::from_chars(dim.data(), last, value);
  if (failed != std::errc() || end != last) return std::nullopt;
  return value;
}

// What shapes given for inputs say of the symbols that stand in their dims.
class Symbols {
 public:
  void learn(const TensorInfo& input, const std::vector<int64_t>& dims) {
    for (size_t axis = 0; axis < std::min(dims.size(), input.dims.size()); ++axis)
      if (!fixedDim(input.dims[axis])) values_.emplace(input.dims[axis], dims[axis]);
  }
  // Dims of an input; those that are not known are `fallback`'s, or counted in `unknown` and 1.
  std::vector<int64_t> dimsOf(const TensorInfo& input, const std::vector<int64_t>* fallback,
                              int& unknown) const {
    std::vector<int64_t> dims;
    for (size_t axis = 0; axis < input.dims.size(); ++axis) {
      std::optional<int64_t> fixed = fixedDim(input.dims[axis]);
      auto found = values_.find(input.dims[axis]);
      if (fixed) {
        dims.push_back(*fixed);
      } else if (found != values_.end()) {
        dims.push_back(found->second);
      } else {
        if (!fallback) ++unknown;
        dims.push_back(fallback ? fallback->at(axis) : 1);
      }
    }
    return dims;
  }

 private:
  std::map<std::string, int64_t> values_;
};

void warnOfDefault(const TensorInfo& input, const std::vector<int64_t>& dims,
                   const Output& output) {
  output.warning(
      fmt::format("Dynamic dimensions required for input: {}, but no shapes were provided. "
                  "Automatically overriding shape to: {}",
                  input.name, shapeText(dims)));
}

// The range that the flags give an input, if any of them names it.
std::optional<ShapeRange> rangeOf(const ProfileSpec& spec, const Shapes& shapes,
                                  const std::string& name) {
  const std::vector<int64_t>* min = findByName(spec.min, name);
  const std::vector<int64_t>* opt = findByName(spec.opt, name);
  const std::vector<int64_t>* max = findByName(spec.max, name);
  if (min && max) return ShapeRange{*min, opt ? *opt : *max, *max};
  const std::vector<int64_t>* one = opt ? opt : findByName(shapes, name);
  if (!one) return std::nullopt;
  return ShapeRange{*one, *one, *one};
}

Profile makeProfile(const ProfileSpec& spec, const Shapes& shapes,
                    const std::vector<TensorInfo>& inputs, const Output& output) {
  checkNames("--minShapes", spec.min, inputs);
  checkNames("--optShapes", spec.opt, inputs);
  checkNames("--maxShapes", spec.max, inputs);
  Profile profile;
  Symbols min, opt, max;
  for (const TensorInfo& input : inputs)
    if (std::optional<ShapeRange> range = rangeOf(spec, shapes, input.name)) {
      min.learn(input, range->min);
      opt.learn(input, range->opt);
      max.learn(input, range->max);
      profile.inputs[input.name] = std::move(*range);
    }
  for (const TensorInfo& input : inputs) {
    if (!input.isDynamic() || profile.inputs.contains(input.name)) continue;
    int unknown = 0;
    ShapeRange range{min.dimsOf(input, nullptr, unknown), opt.dimsOf(input, nullptr, unknown),
                     max.dimsOf(input, nullptr, unknown)};
    if (unknown > 0) warnOfDefault(input, range.opt, output);
    profile.inputs[input.name] = std::move(range);
  }
  return profile;
}

}  // namespace

std::vector<Profile> buildProfiles(const Options& options, const std::vector<TensorInfo>& inputs,
                                   const Output& output) {
  const Shapes& shapes = options.inference.shapes;
  checkNames("--shapes", shapes, inputs);
  std::vector<ProfileSpec> specs = options.build.profiles;
  if (specs.empty()) specs.emplace_back();
  std::vector<Profile> profiles;
  profiles.reserve(specs.size());
  for (const ProfileSpec& spec : specs)
    profiles.push_back(makeProfile(spec, shapes, inputs, output));
  if (profiles.size() == 1 && profiles[0].inputs.empty()) profiles.clear();
  return profiles;
}

Shapes runShapes(const Options& options, const Engine& engine, const Output& output) {
  const std::vector<TensorInfo>& inputs = engine.inputs();
  checkNames("--shapes", options.inference.shapes, inputs);
  Symbols symbols;
  Shapes shapes;
  for (const TensorInfo& input : inputs)
    if (const std::vector<int64_t>* dims = findByName(options.inference.shapes, input.name)) {
      symbols.learn(input, *dims);
      shapes[input.name] = *dims;
    }
  int profile = options.inference.profile.value_or(0);
  std::map<std::string, ShapeRange> ranges = engine.profileShapes(profile);
  bool enforced = engine.info().profiles.at(profile).enforced;
  for (const TensorInfo& input : inputs) {
    if (shapes.contains(input.name)) continue;
    auto range = ranges.find(input.name);
    int unknown = 0;
    shapes[input.name] = symbols.dimsOf(
        input, enforced && range != ranges.end() ? &range->second.opt : nullptr, unknown);
    if (unknown > 0) warnOfDefault(input, shapes[input.name], output);
  }
  return shapes;
}

}  // namespace carnot::cli::exec
