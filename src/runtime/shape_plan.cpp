#include "runtime/shape_plan.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>

#include "base/error.h"
#include "base/memory_limits.h"
#include "base/shape.h"
#include "engine/packer.h"
#include "runtime/loaded_engine.h"

namespace carnot {

std::string declaredShape(const EngineTensor& tensor, std::span<const std::string> symbolNames) {
  Shape shape;
  for (const DimProgram& dim : tensor.dims) shape.push(dim.toDim(symbolNames));
  return shape.toString();
}

std::string shapeText(std::span<const int64_t> dims) {
  return fmt::format("[{}]", fmt::join(dims, ", "));
}

// What kernels keep of a tensor's shape would take as much again, before memory for the tensor
// itself is asked for. Sums of a few such sizes fit 64 bits.
size_t mostTensorBytes(const Device& device) {
  static const size_t host = memoryLimits().total;
  const size_t total = device.sharesHostMemory() ? host : device.traits().memoryBytes;
  return std::min(total ? total : SIZE_MAX, size_t{1} << 57);
}

namespace {

using Kind = EngineTensor::Kind;

class Planner {
 public:
  Planner(const LoadedEngine::State& state, size_t segment)
      : state_(state),
        engine_(*state.engine),
        level_(static_cast<int32_t>(segment)),
        segment_(state.segments[segment]) {}

  std::shared_ptr<const ShapePlan> make(std::span<const int64_t> inputDims, bool whole) {
    inputDims_ = inputDims;
    whole_ = whole;
    resolveSymbols();
    checkInputs();
    return plan();
  }

  std::shared_ptr<const ShapePlan> makeLater(std::span<const int64_t> symbolValues) {
    plan_.symbolValues.assign(symbolValues.begin(), symbolValues.end());
    return plan();
  }

 private:
  std::shared_ptr<const ShapePlan> plan() {
    checkGuards();
    sizeTensors();
    placeViews();
    fillContents();
    chooseVariants();
    slice();
    specialize();
    placeMemory();
    return std::make_shared<const ShapePlan>(std::move(plan_));
  }

  bool isKnown(size_t tensor) const { return state_.levels[tensor] <= level_; }
  const EngineTensor& input(size_t index) const { return engine_.tensors[engine_.inputs[index]]; }
  int64_t evaluate(const DimProgram& program) const { return program.evaluate(plan_.symbolValues); }

  void resolveSymbols() {
    std::vector<size_t> starts;
    size_t start = 0;
    for (size_t i = 0; i < engine_.inputs.size(); ++i) {
      starts.push_back(start);
      start += input(i).dims.size();
    }
    for (const EngineSymbol& symbol : std::span(engine_.symbols).first(state_.inputSymbols))
      plan_.symbolValues.push_back(inputDims_[starts[symbol.input] + symbol.axis]);
  }

  void checkInputs() const {
    size_t start = 0;
    for (size_t i = 0; i < engine_.inputs.size(); ++i) {
      const EngineTensor& tensor = input(i);
      for (size_t axis = 0; axis < tensor.dims.size(); ++axis) {
        int64_t has = inputDims_[start + axis], needs = evaluate(tensor.dims[axis]);
        if (has == needs) continue;
        throw Error(ErrorCode::InvalidArgument,
                    fmt::format("input {} with dimension {} = {}", tensor.name, axis, has),
                    fmt::format("{} for {}, given {}", needs,
                                declaredShape(tensor, state_.symbolNames), symbolsText()),
                    "give inputs whose shapes agree");
      }
      start += tensor.dims.size();
    }
  }

  // "batch = 2 (of input a), seq = 7 (of input b)"
  std::string symbolsText() const {
    std::string text;
    for (size_t i = 0; i < plan_.symbolValues.size(); ++i) {
      const EngineSymbol& symbol = engine_.symbols[i];
      const std::string where = symbol.tensor < 0
                                    ? "of input " + input(symbol.input).name
                                    : "found for " + engine_.tensors[symbol.tensor].name;
      text +=
          fmt::format("{}{} = {} ({})", i ? ", " : "", symbol.name, plan_.symbolValues[i], where);
    }
    return text;
  }

  void checkGuards() const {
    for (size_t i = 0; i < engine_.guards.size(); ++i) {
      if (state_.guardLevels[i] != level_) continue;
      const EngineGuard& guard = engine_.guards[i];
      int64_t a = evaluate(guard.a), b = evaluate(guard.b);
      if (a == b) continue;
      throw Error(ErrorCode::InvalidArgument, fmt::format("{} against {}", a, b),
                  fmt::format("equal dimensions: {}", guard.what),
                  fmt::format("give inputs of other shapes than {}", symbolsText()));
    }
  }

  void sizeTensors() {
    plan_.dimStarts.push_back(0);
    for (const EngineTensor& tensor : engine_.tensors) {
      if (!isKnown(plan_.bytes.size())) {
        plan_.dims.resize(plan_.dims.size() + tensor.dims.size(), -1);
        plan_.dimStarts.push_back(plan_.dims.size());
        plan_.bytes.push_back(0);
        continue;
      }
      for (const DimProgram& program : tensor.dims) {
        int64_t dim = evaluate(program);
        if (dim < 0)
          throw Error(ErrorCode::InvalidArgument,
                      fmt::format("tensor {} with a dimension of {}", tensor.name, dim),
                      fmt::format("0 or more for {}", declaredShape(tensor, state_.symbolNames)),
                      "give larger inputs");
        plan_.dims.push_back(dim);
      }
      size_t start = plan_.dimStarts.back();
      plan_.dimStarts.push_back(plan_.dims.size());
      int64_t count = physicalCount(tensor.layout, std::span(plan_.dims).subspan(start));
      size_t bytes = dtypeBytes(tensor.dtype, count);
      if (bytes > mostTensorBytes(*state_.device))
        throw Error(
            ErrorCode::OutOfMemory, fmt::format("tensor {} of {} bytes", tensor.name, bytes),
            fmt::format("at most {}, the memory that there is", mostTensorBytes(*state_.device)),
            "give smaller inputs");
      plan_.bytes.push_back(bytes);
    }
  }

  void placeViews() {
    plan_.offsets.assign(engine_.tensors.size(), 0);
    for (size_t i = 0; i < engine_.tensors.size(); ++i) {
      size_t root = static_cast<size_t>(state_.roots[i]);
      if (root == i || !isKnown(i)) continue;
      int64_t offset = evaluate(engine_.tensors[i].viewOffset);
      size_t room = plan_.bytes[root];
      if (offset < 0 || static_cast<uint64_t>(offset) > room || plan_.bytes[i] > room - offset)
        throwOutside(i, root, fmt::format("{} bytes at {}", plan_.bytes[i], offset));
      plan_.offsets[i] = offset;
    }
    if (segment_.finds) return;
    for (const LoadedEngine::State::Copy& copy : state_.copies) {
      size_t output = static_cast<size_t>(engine_.outputs[copy.output]);
      if (plan_.bytes[output] != plan_.bytes[copy.source])
        throwOutside(output, copy.source, fmt::format("{} bytes", plan_.bytes[output]));
    }
  }

  [[noreturn]] void throwOutside(size_t tensor, size_t source, std::string has) const {
    throw Error(ErrorCode::InvalidModel,
                fmt::format("tensor {} of {}", engine_.tensors[tensor].name, has),
                fmt::format("a part of the {} bytes of {}", plan_.bytes[source],
                            engine_.tensors[source].name),
                "the engine is damaged; build it again");
  }

  void fillContents() {
    plan_.contents.resize(engine_.tensors.size());
    plan_.hostContents.resize(engine_.tensors.size());
    for (int32_t index : segment_.tensors) {
      const auto i = static_cast<size_t>(index);
      const EngineTensor& tensor = engine_.tensors[i];
      if (tensor.kind != Kind::Shape || !isKnown(i)) continue;
      auto dims = plan_.dimsOf(static_cast<int32_t>(i));
      Tensor contents(tensor.dtype, {dims.begin(), dims.end()});
      for (size_t k = 0; k < tensor.contents.size(); ++k)
        contents.view().storeInt(static_cast<int64_t>(k), evaluate(tensor.contents[k]));
      plan_.contents[i] = contents.data();
      plan_.hostContents[i] = std::move(contents);
    }
    if (!state_.device->sharesHostMemory()) uploadContents();
  }

  void uploadContents() {
    constexpr size_t kAlignment = 64;
    auto room = [](const Tensor& tensor) {
      return (tensor.bytes() + kAlignment - 1) / kAlignment * kAlignment;
    };
    size_t bytes = 0;
    for (const Tensor& tensor : plan_.hostContents)
      if (!tensor.empty()) bytes += room(tensor);
    if (bytes == 0) return;
    plan_.uploadedContents = state_.device->allocate(bytes);
    auto* next = static_cast<std::byte*>(plan_.uploadedContents->data());
    std::unique_ptr<Stream> stream = state_.device->createStream();
    for (size_t i = 0; i < plan_.hostContents.size(); ++i) {
      const Tensor& tensor = plan_.hostContents[i];
      if (tensor.empty()) continue;
      state_.device->copyToDevice(next, tensor.data(), tensor.bytes(), *stream);
      plan_.contents[i] = next;
      next += room(tensor);
    }
    stream->synchronize();
  }

  // Squared distance in log space to the nearest point where the variant won.
  double distance(const EngineStep::Variant& variant) const {
    const size_t symbols = engine_.symbols.size(), known = plan_.symbolValues.size();
    double nearest = std::numeric_limits<double>::infinity();
    for (size_t start = 0; start + symbols <= variant.tunedAt.size(); start += symbols) {
      double sum = 0;
      for (size_t i = 0; i < known; ++i) {
        double has = static_cast<double>(plan_.symbolValues[i]);
        double tuned = static_cast<double>(std::max<int64_t>(variant.tunedAt[start + i], 0));
        double step = std::log((has + 1) / (tuned + 1));
        sum += step * step;
      }
      nearest = std::min(nearest, sum);
      if (symbols == 0) break;
    }
    return nearest;
  }

  void chooseVariants() {
    plan_.variants.resize(engine_.steps.size());
    for (size_t index = segment_.first; index < segment_.last; ++index) {
      const EngineStep& step = engine_.steps[index];
      int best = 0;
      if (step.variants.size() > 1) {
        double nearest = distance(step.variants[0]);
        for (size_t i = 1; i < step.variants.size(); ++i)
          if (double here = distance(step.variants[i]); here < nearest) {
            nearest = here;
            best = static_cast<int>(i);
          }
      }
      plan_.variants[index] = best;
    }
  }

  void slice() {
    if (!whole_) plan_.slices = findSlices(state_, plan_);
    if (plan_.slices.empty()) return;
    plan_.imageBytes.assign(engine_.tensors.size(), 0);
    for (int32_t i : segment_.tensors)
      for (const Slices& slices : plan_.slices) {
        if (!isSliced(engine_.tensors[i], slices)) continue;
        plan_.imageBytes[i] = plan_.bytes[i] / static_cast<size_t>(slices.images * slices.turns);
        if (!staysWithin(state_, i, slices)) continue;
        plan_.imageBytes[i] = 0;
        break;
      }
  }

  // Null for a step that runs once.
  const Slices* slicesOf(size_t step) const {
    for (const Slices& slices : plan_.slices)
      if (step >= slices.first && step < slices.last) return &slices;
    return nullptr;
  }

  void specialize() {
    plan_.executables.resize(engine_.steps.size());
    std::map<std::string, int64_t> allSymbols;
    for (size_t i = 0; i < plan_.symbolValues.size(); ++i)
      allSymbols.emplace(state_.symbolNames[i], plan_.symbolValues[i]);
    auto shapesOf = [&](const std::vector<int32_t>& tensors, const Slices* slices) {
      std::vector<std::vector<int64_t>> all;
      for (int32_t tensor : tensors) {
        auto dims = tensor >= 0 ? plan_.dimsOf(tensor) : std::span<const int64_t>();
        all.emplace_back(dims.begin(), dims.end());
        if (slices && tensor >= 0 && isSliced(engine_.tensors[tensor], *slices))
          all.back()[0] = slices->images;
      }
      return all;
    };
    auto formatsOf = [&](const std::vector<int32_t>& tensors) {
      std::vector<std::optional<TensorFormat>> all;
      for (int32_t index : tensors) {
        if (index < 0) {
          all.emplace_back();
          continue;
        }
        const EngineTensor& tensor = engine_.tensors[index];
        all.emplace_back(TensorFormat{tensor.dtype, tensor.layout});
      }
      return all;
    };
    // At first kernels generate code, which is worth the pool; later shapes mostly find it made.
    const auto first = static_cast<int64_t>(segment_.first);
    const int64_t count = static_cast<int64_t>(segment_.last) - first;
    int64_t grain = state_.specialized.exchange(true) ? std::max<int64_t>(count, 1) : 4;
    state_.pool->forRange(count, grain, [&](int64_t begin, int64_t end) {
      state_.device->activate();
      for (int64_t i = first + begin; i < first + end; ++i) {
        const EngineStep& step = engine_.steps[i];
        if (step.control != EngineStep::Control::None) continue;
        const bool found = segment_.finds && i + 1 == static_cast<int64_t>(segment_.last);
        const Slices* slices = slicesOf(static_cast<size_t>(i));
        std::map<std::string, int64_t> symbols = allSymbols;
        if (slices) symbols[state_.symbolNames[slices->symbol]] = slices->images;
        try {
          plan_.executables[i] = state_.kernels[i][plan_.variants[i]]->specialize(
              {shapesOf(step.inputs, slices),
               found ? std::vector<std::vector<int64_t>>(step.outputs.size())
                     : shapesOf(step.outputs, slices),
               symbols, formatsOf(step.inputs), formatsOf(step.outputs), found});
        } catch (Error& error) {
          error.within("step " + step.name);
          throw;
        }
      }
    });
  }

  // Activations from the first to the last step that touches their memory, workspaces in their
  // step.
  void placeMemory() {
    std::vector<Lifetime> lifetimes;
    std::vector<int64_t*> places;
    plan_.places.assign(engine_.tensors.size(), 0);
    plan_.kept.assign(engine_.tensors.size(), 0);
    plan_.workspaces.assign(engine_.steps.size(), 0);
    for (int32_t index : segment_.tensors) {
      const auto i = static_cast<size_t>(index);
      const LoadedEngine::State::Life& life = state_.lives[i];
      bool owns = engine_.tensors[i].kind == Kind::Activation && state_.roots[i] == index;
      if (!owns || life.first > life.last || life.first < static_cast<int32_t>(segment_.first))
        continue;
      if (segment_.finds && life.last >= static_cast<int32_t>(segment_.last)) {
        constexpr int64_t kAlignment = 64;
        plan_.kept[i] = 1;
        plan_.places[i] = plan_.keptBytes;
        plan_.keptBytes +=
            (static_cast<int64_t>(plan_.bytes[i]) + kAlignment - 1) / kAlignment * kAlignment;
        continue;
      }
      lifetimes.push_back(lifetimeOf(index));
      places.push_back(&plan_.places[i]);
    }
    for (size_t i = segment_.first; i < segment_.last; ++i) {
      if (!plan_.executables[i]) continue;
      const size_t bytes = plan_.executables[i]->workspaceBytes();
      if (bytes == 0) continue;
      if (bytes > mostTensorBytes(*state_.device))
        throw Error(
            ErrorCode::OutOfMemory,
            fmt::format("step {} with scratch of {} bytes", engine_.steps[i].name, bytes),
            fmt::format("at most {}, the memory that there is", mostTensorBytes(*state_.device)),
            "give smaller inputs");
      int32_t step = static_cast<int32_t>(i);
      lifetimes.push_back({static_cast<int64_t>(bytes), step, step});
      places.push_back(&plan_.workspaces[i]);
    }
    Packing packing = packOffsets(lifetimes);
    for (size_t i = 0; i < places.size(); ++i) *places[i] = packing.offsets[i];
    plan_.arenaBytes = packing.totalBytes;
    plan_.lowerBoundBytes = liveBytesBound(lifetimes);
  }

  // Of an activation, in steps. Where steps run in turns, what stays within them is as large as a
  // turn needs it, and the rest is there from the first of them to the last.
  Lifetime lifetimeOf(int32_t tensor) const {
    const LoadedEngine::State::Life& life = state_.lives[tensor];
    Lifetime lifetime{static_cast<int64_t>(plan_.bytes[tensor]), life.first, life.last};
    for (const Slices& slices : plan_.slices) {
      const auto first = static_cast<int32_t>(slices.first),
                 last = static_cast<int32_t>(slices.last) - 1;
      if (staysWithin(state_, tensor, slices)) {
        if (isSliced(engine_.tensors[tensor], slices)) lifetime.bytes /= slices.turns;
      } else {
        if (life.first >= first && life.first <= last) lifetime.first = first;
        if (life.last >= first && life.last <= last) lifetime.last = last;
      }
    }
    return lifetime;
  }

  const LoadedEngine::State& state_;
  const EngineData& engine_;
  const int32_t level_;
  const LoadedEngine::State::Segment& segment_;
  std::span<const int64_t> inputDims_;
  bool whole_ = false;
  ShapePlan plan_;
};

}  // namespace

std::shared_ptr<const ShapePlan> makeShapePlan(const LoadedEngine::State& state,
                                               std::span<const int64_t> inputDims, bool whole) {
  return Planner(state, 0).make(inputDims, whole);
}

std::shared_ptr<const ShapePlan> makeSegmentPlan(const LoadedEngine::State& state, size_t segment,
                                                 std::span<const int64_t> symbolValues) {
  return Planner(state, segment).makeLater(symbolValues);
}

}  // namespace carnot
