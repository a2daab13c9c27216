#include "runtime/segments.h"

#include <algorithm>

namespace carnot {
namespace {

using Kind = EngineTensor::Kind;

class Finder {
 public:
  explicit Finder(LoadedEngine::State& state) : state_(state), engine_(*state.engine) {}

  void run() {
    cut();
    levels();
    for (size_t i = 0; i < state_.segments.size(); ++i) gatherTensors(state_.segments[i]);
    for (size_t i = 0; i < engine_.outputs.size(); ++i) placeOutput(engine_.outputs[i]);
  }

 private:
  void cut() {
    size_t symbols = 0;
    while (symbols < engine_.symbols.size() && engine_.symbols[symbols].tensor < 0) ++symbols;
    state_.inputSymbols = symbols;
    size_t first = 0;
    for (size_t step = 0; step < engine_.steps.size(); ++step) {
      const std::vector<int32_t>& outputs = engine_.steps[step].outputs;
      if (engine_.tensors[outputs.front()].kind != Kind::Found) continue;
      state_.segments.push_back({first, step + 1, symbols, true, {}});
      first = step + 1;
      while (symbols < engine_.symbols.size() &&
             std::ranges::count(outputs, engine_.symbols[symbols].tensor))
        ++symbols;
    }
    state_.segments.push_back({first, engine_.steps.size(), symbols, false, {}});
  }

  // The segment from which on the program's symbols are known.
  int32_t levelOf(const DimProgram& program) const {
    size_t needed = 0;
    for (size_t i = 0; i < program.code.size(); i += 2)
      if (program.code[i] == static_cast<int64_t>(DimOp::Symbol))
        needed = std::max(needed, static_cast<size_t>(program.code[i + 1]) + 1);
    int32_t level = 0;
    while (state_.segments[static_cast<size_t>(level)].symbols < needed) ++level;
    return level;
  }

  void levels() {
    auto most = [&](const std::vector<DimProgram>& programs) {
      int32_t level = 0;
      for (const DimProgram& program : programs) level = std::max(level, levelOf(program));
      return level;
    };
    for (const EngineTensor& tensor : engine_.tensors) {
      int32_t level = std::max(most(tensor.dims), most(tensor.contents));
      if (tensor.kind == Kind::Activation && tensor.viewOf >= 0) {
        level = std::max(level, levelOf(tensor.viewOffset));
        level = std::max(level, most(engine_.tensors[tensor.viewOf].dims));
      }
      state_.levels.push_back(level);
    }
    // Dims that are numbers or known before are still checked once the step ran.
    for (size_t i = 0; i + 1 < state_.segments.size(); ++i)
      for (int32_t tensor : engine_.steps[state_.segments[i].last - 1].outputs) {
        int32_t& level = state_.levels[static_cast<size_t>(tensor)];
        level = std::max(level, static_cast<int32_t>(i) + 1);
      }
    for (size_t i = 0; i < engine_.tensors.size(); ++i)
      if (const auto root = static_cast<size_t>(state_.roots[i]); root != i)
        state_.levels[i] = std::max(state_.levels[i], state_.levels[root]);
    for (const EngineGuard& guard : engine_.guards)
      state_.guardLevels.push_back(std::max(levelOf(guard.a), levelOf(guard.b)));
  }

  void gatherTensors(LoadedEngine::State::Segment& segment) {
    auto add = [&](int32_t tensor) {
      if (tensor >= 0) segment.tensors.push_back(tensor);
    };
    for (size_t i = segment.first; i < segment.last; ++i) {
      const EngineStep& step = engine_.steps[i];
      for (const auto* list : {&step.inputs, &step.regionInputs, &step.outputs})
        for (int32_t tensor : *list) {
          add(tensor);
          if (tensor >= 0) add(state_.roots[static_cast<size_t>(tensor)]);
        }
    }
    if (!segment.finds)
      for (const LoadedEngine::State::Copy& copy : state_.copies) {
        add(copy.source);
        add(state_.roots[static_cast<size_t>(copy.source)]);
      }
    std::ranges::sort(segment.tensors);
    const auto doubles = std::ranges::unique(segment.tensors);
    segment.tensors.erase(doubles.begin(), doubles.end());
  }

  // An output's memory is needed by the first step that writes it, a copy's at the end.
  void placeOutput(int32_t tensor) {
    size_t place = state_.segments.size() - 1;
    const LoadedEngine::State::Life& life = state_.lives[static_cast<size_t>(tensor)];
    if (engine_.tensors[static_cast<size_t>(tensor)].kind == Kind::Output &&
        engine_.tensors[static_cast<size_t>(tensor)].viewOf < 0)
      while (place > 0 && state_.segments[place - 1].last > static_cast<size_t>(life.first))
        --place;
    state_.outputSegments.push_back(place);
  }

  LoadedEngine::State& state_;
  const EngineData& engine_;
};

}  // namespace

void findSegments(LoadedEngine::State& state) { Finder(state).run(); }

}  // namespace carnot
