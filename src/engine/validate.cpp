#include <unordered_set>

#include "engine/validator.h"

namespace carnot {
namespace {

constexpr int64_t kMaxThreads = 4096;
constexpr int kMaxNested = 64;

}  // namespace

void Validator::refuse(std::string has, std::string needs) {
  throw Error(ErrorCode::InvalidModel, std::move(has), std::move(needs),
              "the engine is damaged; build it again");
}

void Validator::validate() {
  if (depth_ > kMaxNested)
    refuse("bodies within one another", fmt::format("{} at most", kMaxNested));
  if (depth_ > 0 && !(engine_.weights.empty() && engine_.profiles.empty()))
    refuse("a body with weights or profiles of its own", "those of the whole engine");
  if (engine_.meta.threads < 1 || engine_.meta.threads > kMaxThreads)
    refuse(fmt::format("an engine for {} threads", engine_.meta.threads), "1 to 4096");
  for (size_t i = 0; i < engine_.weights.size(); ++i)
    within("weight section", std::to_string(i), [&] { checkWeight(engine_.weights[i]); });
  for (const EngineTensor& tensor : engine_.tensors)
    within("tensor", tensor.name, [&] { checkTensor(tensor); });
  checkSignature();
  checkSymbols();
  for (const EngineProfile& profile : engine_.profiles) checkProfile(profile);
  for (const EngineGuard& guard : engine_.guards) {
    guard.a.validate(symbols_);
    guard.b.validate(symbols_);
  }
  for (size_t i = 0; i < engine_.bodies.size(); ++i)
    within("body", std::to_string(i),
           [&] { Validator(engine_.bodies[i], weights_, depth_ + 1).validate(); });
  checkSteps();
}

void Validator::checkNames(const std::vector<int32_t>& indices, const char* what) const {
  std::unordered_set<std::string_view> names;
  for (int32_t index : indices) {
    const std::string& name = engine_.tensors[index].name;
    if (name.empty() || !names.insert(name).second)
      refuse(fmt::format("{} '{}' twice or unnamed", what, name), "names that differ");
  }
}

void Validator::checkSignature() const {
  std::vector<int> seen(engine_.tensors.size());
  bool states = false;
  for (int32_t index : engine_.inputs) {
    require(isTensor(index), "an input beyond the last tensor", "a tensor's index");
    const Kind kind = engine_.tensors[index].kind;
    states |= kind == Kind::State;
    require(kind == (states ? Kind::State : Kind::Input),
            "a list of inputs that names another tensor", "inputs, then states");
    require(++seen[index] == 1, "an input listed twice", "each once");
  }
  for (int32_t index : engine_.outputs) {
    require(isTensor(index), "an output beyond the last tensor", "a tensor's index");
    require(engine_.tensors[index].layout.isPlain(), "an output in a blocked layout",
            "the plain layout");
    if (engine_.tensors[index].kind == Kind::Output)
      require(++seen[index] == 1, "an output listed twice", "each once");
  }
  for (size_t i = 0; i < seen.size(); ++i) {
    Kind kind = engine_.tensors[i].kind;
    if (seen[i] != 1 && (kind == Kind::Input || kind == Kind::Output || kind == Kind::State))
      refuse(
          fmt::format("tensor {} as an input, output or state in no list", engine_.tensors[i].name),
          "every one listed");
  }
  checkNames(engine_.inputs, "input");
  checkNames(engine_.outputs, "output");
}

void Validator::checkSymbols() const {
  std::unordered_set<std::string_view> names;
  for (size_t i = 0; i < symbols_; ++i) {
    const EngineSymbol& symbol = engine_.symbols[i];
    if (symbol.name.empty() || !names.insert(symbol.name).second)
      refuse(fmt::format("symbol '{}' twice or unnamed", symbol.name), "names that differ");
    if (symbol.tensor >= 0) {
      checkFound(symbol, static_cast<int32_t>(i));
      continue;
    }
    require(i == 0 || engine_.symbols[i - 1].tensor < 0, "a symbol of an input after others",
            "symbols of inputs first");
    if (symbol.input < 0 || static_cast<size_t>(symbol.input) >= engine_.inputs.size())
      refuse(fmt::format("symbol {} of an input beyond the last", symbol.name), "an input");
    const EngineTensor& input = engine_.tensors[engine_.inputs[symbol.input]];
    if (!(symbol.axis >= 0 && static_cast<size_t>(symbol.axis) < input.dims.size() &&
          input.dims[symbol.axis].symbol() == static_cast<int32_t>(i)))
      refuse(fmt::format("symbol {} read off another dimension", symbol.name),
             "an input's dimension that is the symbol");
  }
}

void Validator::checkFound(const EngineSymbol& symbol, int32_t index) const {
  require(isTensor(symbol.tensor), "a symbol of a tensor beyond the last", "a tensor's index");
  const EngineTensor& tensor = engine_.tensors[symbol.tensor];
  if (!(tensor.kind == Kind::Found && symbol.axis >= 0 &&
        static_cast<size_t>(symbol.axis) < tensor.dims.size() &&
        tensor.dims[symbol.axis].symbol() == index))
    refuse(fmt::format("symbol {} read off another dimension", symbol.name),
           "a dimension that is the symbol, of a tensor whose step finds it");
}

void Validator::checkProfile(const EngineProfile& profile) const {
  if (profile.symbols.size() != symbols_)
    refuse(fmt::format("a profile of {} ranges", profile.symbols.size()),
           fmt::format("one for each of {} symbols", symbols_));
  for (const EngineProfile::Range& range : profile.symbols)
    if (range.min < 0 || range.opt < range.min || range.max < range.opt)
      refuse(fmt::format("a range of {}, {}, {}", range.min, range.opt, range.max),
             "0 <= min <= opt <= max");
}

void validateEngine(const EngineData& engine) { Validator(engine, engine.weights).validate(); }

}  // namespace carnot
