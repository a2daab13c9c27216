#include "builder/profiles.h"

#include <carnot/names.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "base/error.h"

namespace carnot {

namespace {

constexpr int64_t kDefaultOuter = 1;
constexpr int64_t kDefaultInner = 128;
constexpr int64_t kNoLimit = int64_t(1) << 40;

[[noreturn]] void invalid(std::string has, std::string needs, std::string remedy = {}) {
  throw Error(ErrorCode::InvalidArgument, std::move(has), std::move(needs), std::move(remedy));
}

const Value* findInput(const Graph& graph, const std::string& name) {
  std::vector<std::string> names;
  for (const Value* input : graph.given()) {
    if (input->name == name) return input;
    names.push_back(input->name);
  }
  std::string near = closest(name, names);
  invalid(fmt::format("a profile for input {}", name),
          fmt::format("one of the model's inputs: {}", fmt::join(names, ", ")),
          near.empty() ? std::string() : fmt::format("did you mean {}?", near));
}

void checkInput(const Value& input, const ProfileShapes::Input& shapes) {
  const Shape& shape = input.type.shape;
  auto text = [](const std::vector<int64_t>& dims) {
    return fmt::format("{}", fmt::join(dims, "x"));
  };
  for (const auto* dims : {&shapes.min, &shapes.opt, &shapes.max})
    if (dims->size() != shape.rank())
      invalid(
          fmt::format("shape {} of rank {} for input {}", text(*dims), dims->size(), input.name),
          fmt::format("rank {}: {}", shape.rank(), shape.toString()));
  for (size_t axis = 0; axis < shape.rank(); ++axis) {
    int64_t low = shapes.min[axis], mid = shapes.opt[axis], high = shapes.max[axis];
    if (low < 0 || low > mid || mid > high)
      invalid(fmt::format("min {}, opt {}, max {} in axis {} of input {}", low, mid, high, axis,
                          input.name),
              "0 <= min <= opt <= max");
    std::optional<int64_t> fixed = shape[axis].tryConstant();
    if (fixed && (low != *fixed || high != *fixed))
      invalid(fmt::format("{} to {} in axis {} of input {}", low, high, axis, input.name),
              fmt::format("{}, which the model fixes", *fixed));
  }
}

// Of a dim that depends on data: any value, and where to tune.
EngineProfile::Range freeRange(const Graph& graph, const EngineSymbol& symbol) {
  int64_t typical = symbol.axis == 0 ? kDefaultOuter : kDefaultInner;
  if (symbol.input < 0) {
    typical = kDefaultInner;
    auto bound = graph.symbolBounds.find(symbol.name);
    if (bound != graph.symbolBounds.end())
      typical = std::min(typical, bound->second.tryConstant().value_or(typical));
  }
  return {0, typical, kNoLimit};
}

EngineProfile resolveOne(const Graph& graph, std::span<const EngineSymbol> symbols,
                         const ProfileShapes& shapes) {
  for (const auto& [name, input] : shapes.inputs) checkInput(*findInput(graph, name), input);
  EngineProfile profile;
  profile.enforced = true;
  const std::vector<Value*> given = graph.given();
  for (const EngineSymbol& symbol : symbols) {
    std::optional<EngineProfile::Range> range;
    if (symbol.input < 0) range = freeRange(graph, symbol);  // depends on data
    for (const Value* input : given) {
      auto found = shapes.inputs.find(input->name);
      if (found == shapes.inputs.end()) continue;
      for (size_t axis = 0; axis < input->type.shape.rank(); ++axis) {
        if (input->type.shape[axis].asSymbol() != symbol.name) continue;
        EngineProfile::Range here{found->second.min[axis], found->second.opt[axis],
                                  found->second.max[axis]};
        if (range && !(*range == here))
          invalid(fmt::format("two ranges for {}: axis {} of input {} differs from an earlier one",
                              symbol.name, axis, input->name),
                  "the same min, opt and max wherever the model uses one name");
        range = here;
      }
    }
    if (!range)
      invalid(fmt::format("no shapes for input {} in the profile", given[symbol.input]->name),
              fmt::format("min, opt and max of {}, since {} is dynamic",
                          given[symbol.input]->type.shape.toString(), symbol.name));
    profile.symbols.push_back(*range);
  }
  return profile;
}

// Whether the guards hold, as far as the point's symbols tell; within bodies, which call dims that
// they are given as the graph around does, for one branch of each If.
bool holds(const Graph& graph, const ShapePoint& point) {
  bool isKnown = true;
  auto valueOf = [&](const std::string& symbol) {
    auto found = point.find(symbol);
    isKnown = isKnown && found != point.end() && !graph.symbolBounds.contains(symbol);
    return found == point.end() ? 1 : found->second;
  };
  for (const Guard& guard : graph.guards) {
    isKnown = true;
    const int64_t a = guard.a.evaluate(valueOf), b = guard.b.evaluate(valueOf);
    if (isKnown && a != b) return false;
  }
  return std::ranges::all_of(graph.nodes(), [&](const std::unique_ptr<Node>& node) {
    return node->bodies.empty() ||
           std::ranges::any_of(node->bodies, [&](const auto& body) { return holds(*body, point); });
  });
}

// Whether every dim that follows from the point's symbols leaves something to compute, within
// bodies too: an image may be too small for a window.
bool leavesElements(const Graph& graph, const ShapePoint& point) {
  bool known = true;
  auto valueOf = [&](const std::string& symbol) -> int64_t {
    auto found = point.find(symbol);
    known &= found != point.end();
    return found == point.end() ? 1 : found->second;
  };
  for (const auto& node : graph.nodes()) {
    for (const Value* output : node->outputs)
      for (const Dim& dim : output->type.shape) {
        known = true;
        if (!dim.isConstant() && dim.evaluate(valueOf) < 1 && known) return false;
      }
    for (const std::shared_ptr<Graph>& body : node->bodies)
      if (!leavesElements(*body, point)) return false;
  }
  return true;
}

// Without a profile the default sizes may break what the model demands of its shapes (an image
// height that pooling must bring to 1): tries other usual sizes until the guards hold.
void satisfyGuards(const Graph& graph, std::span<const EngineSymbol> symbols,
                   EngineProfile& profile) {
  constexpr int64_t kUsual[] = {128, 64,  32,  224, 256, 48, 96, 160,
                                192, 320, 384, 512, 640, 16, 8,  1};
  constexpr int kMostTries = 5000;
  ShapePoint point;
  std::vector<size_t> free;
  for (size_t i = 0; i < symbols.size(); ++i) {
    point[symbols[i].name] = profile.symbols[i].opt;
    if (symbols[i].axis != 0 && symbols[i].input >= 0) free.push_back(i);
  }
  std::vector<size_t> digits(free.size());
  for (int tries = 0; tries < kMostTries; ++tries) {
    if (holds(graph, point) && leavesElements(graph, point)) {
      for (size_t i : free) profile.symbols[i].opt = point[symbols[i].name];
      return;
    }
    size_t digit = 0;
    while (digit < digits.size() && ++digits[digit] == std::size(kUsual)) digits[digit++] = 0;
    if (digit == digits.size()) return;
    for (size_t i = 0; i < free.size(); ++i) point[symbols[free[i]].name] = kUsual[digits[i]];
  }
}

}  // namespace

std::vector<EngineProfile> resolveProfiles(const Graph& graph,
                                           std::span<const EngineSymbol> symbols,
                                           std::span<const ProfileShapes> profiles) {
  std::vector<EngineProfile> resolved;
  for (const ProfileShapes& shapes : profiles)
    resolved.push_back(resolveOne(graph, symbols, shapes));
  if (!resolved.empty()) return resolved;
  EngineProfile free;
  for (const EngineSymbol& symbol : symbols) free.symbols.push_back(freeRange(graph, symbol));
  satisfyGuards(graph, symbols, free);
  resolved.push_back(std::move(free));
  return resolved;
}

namespace {

// What guards demand of dims that depend on data: where one side is such a dim alone, the other
// gives its value.
void followGuards(const Graph& graph, ShapePoint& point) {
  auto known = [&](const std::string& name) {
    auto found = point.find(name);
    return found == point.end() ? 1 : found->second;
  };
  for (const Guard& guard : graph.guards)
    for (const auto& [one, other] : {std::pair(guard.a, guard.b), std::pair(guard.b, guard.a)}) {
      const std::optional<std::string> symbol = one.asSymbol();
      if (!symbol || !graph.symbolBounds.contains(*symbol) || !point.contains(*symbol)) continue;
      point[*symbol] = std::max<int64_t>(other.evaluate(known), 0);
      break;
    }
}

}  // namespace

std::vector<ShapePoint> pointsWithin(const Graph& body, const ShapePoint& inner,
                                     std::span<const ShapePoint> around) {
  std::vector<ShapePoint> points;
  for (const ShapePoint& outer : around) {
    ShapePoint point = inner;
    for (auto& [symbol, value] : point)
      if (auto found = outer.find(symbol); found != outer.end()) value = found->second;
    if (std::find(points.begin(), points.end(), point) == points.end() && holds(body, point))
      points.push_back(std::move(point));
  }
  if (points.empty()) points.push_back(inner);
  return points;
}

std::vector<ShapePoint> tuningPoints(const Graph& graph, std::span<const EngineSymbol> symbols,
                                     std::span<const EngineProfile> profiles) {
  std::vector<ShapePoint> points;
  auto add = [&](const EngineProfile& profile, int64_t EngineProfile::Range::*which) {
    ShapePoint point;
    for (size_t i = 0; i < symbols.size(); ++i)
      point[symbols[i].name] = std::max<int64_t>(profile.symbols[i].*which, 1);
    followGuards(graph, point);
    // Symbols that nothing makes any more may still stand in types that nobody reads.
    for (const auto& [symbol, bound] : graph.symbolBounds) point.emplace(symbol, 1);
    if (std::find(points.begin(), points.end(), point) == points.end())
      points.push_back(std::move(point));
  };
  for (const EngineProfile& profile : profiles) add(profile, &EngineProfile::Range::opt);
  for (const EngineProfile& profile : profiles) {
    if (!profile.enforced) continue;
    add(profile, &EngineProfile::Range::max);
    add(profile, &EngineProfile::Range::min);
  }
  return points;
}

}  // namespace carnot
