#include "runtime/shape_plan.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "base/error.h"
#include "base/shape.h"
#include "devices/cpu/memory_limits.h"
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

namespace {

using Kind = EngineTensor::Kind;

// The most that a tensor may take: what kernels keep of its shape would take as much again, before
// memory for the tensor itself is asked for. Sums of a few such sizes fit 64 bits.
size_t mostBytes(const Device& device) {
  static const size_t host = memoryLimits().total;
  const size_t total = device.sharesHostMemory() ? host : device.traits().memoryBytes;
  return std::min(total ? total : SIZE_MAX, size_t{1} << 57);
}

class Planner {
 public:
  Planner(const LoadedEngine::State& state, std::span<const int64_t> inputDims)
      : state_(state), engine_(*state.engine), inputDims_(inputDims) {}

  std::shared_ptr<const ShapePlan> make() {
    resolveSymbols();
    checkInputs();
    checkGuards();
    sizeTensors();
    placeViews();
    fillContents();
    chooseVariants();
    specialize();
    placeMemory();
    return std::make_shared<const ShapePlan>(std::move(plan_));
  }

 private:
  const EngineTensor& input(size_t index) const { return engine_.tensors[engine_.inputs[index]]; }
  int64_t evaluate(const DimProgram& program) const { return program.evaluate(plan_.symbolValues); }

  void resolveSymbols() {
    std::vector<size_t> starts;
    size_t start = 0;
    for (size_t i = 0; i < engine_.inputs.size(); ++i) {
      starts.push_back(start);
      start += input(i).dims.size();
    }
    for (const EngineSymbol& symbol : engine_.symbols)
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
    for (size_t i = 0; i < engine_.symbols.size(); ++i)
      text += fmt::format("{}{} = {} (of input {})", i ? ", " : "", engine_.symbols[i].name,
                          plan_.symbolValues[i], input(engine_.symbols[i].input).name);
    return text;
  }

  void checkGuards() const {
    for (const EngineGuard& guard : engine_.guards) {
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
      if (bytes > mostBytes(*state_.device))
        throw Error(ErrorCode::OutOfMemory,
                    fmt::format("tensor {} of {} bytes", tensor.name, bytes),
                    fmt::format("at most {}, the memory that there is", mostBytes(*state_.device)),
                    "give smaller inputs");
      plan_.bytes.push_back(bytes);
    }
  }

  void placeViews() {
    plan_.offsets.assign(engine_.tensors.size(), 0);
    for (size_t i = 0; i < engine_.tensors.size(); ++i) {
      size_t root = static_cast<size_t>(state_.roots[i]);
      if (root == i) continue;
      int64_t offset = evaluate(engine_.tensors[i].viewOffset);
      size_t room = plan_.bytes[root];
      if (offset < 0 || static_cast<uint64_t>(offset) > room || plan_.bytes[i] > room - offset)
        throwOutside(i, root, fmt::format("{} bytes at {}", plan_.bytes[i], offset));
      plan_.offsets[i] = offset;
    }
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
    for (size_t i = 0; i < engine_.tensors.size(); ++i) {
      const EngineTensor& tensor = engine_.tensors[i];
      if (tensor.kind != Kind::Shape) continue;
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
    size_t symbols = plan_.symbolValues.size();
    double nearest = std::numeric_limits<double>::infinity();
    for (size_t start = 0; start + symbols <= variant.tunedAt.size(); start += symbols) {
      double sum = 0;
      for (size_t i = 0; i < symbols; ++i) {
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
    for (const EngineStep& step : engine_.steps) {
      int best = 0;
      if (step.variants.size() > 1) {
        double nearest = distance(step.variants[0]);
        for (size_t i = 1; i < step.variants.size(); ++i)
          if (double here = distance(step.variants[i]); here < nearest) {
            nearest = here;
            best = static_cast<int>(i);
          }
      }
      plan_.variants.push_back(best);
    }
  }

  void specialize() {
    plan_.executables.resize(engine_.steps.size());
    std::map<std::string, int64_t> symbols;
    for (size_t i = 0; i < plan_.symbolValues.size(); ++i)
      symbols.emplace(state_.symbolNames[i], plan_.symbolValues[i]);
    auto shapesOf = [&](const std::vector<int32_t>& tensors) {
      std::vector<std::vector<int64_t>> all;
      for (int32_t tensor : tensors) {
        auto dims = tensor >= 0 ? plan_.dimsOf(tensor) : std::span<const int64_t>();
        all.emplace_back(dims.begin(), dims.end());
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
    auto count = static_cast<int64_t>(engine_.steps.size());
    int64_t grain = state_.specialized.exchange(true) ? std::max<int64_t>(count, 1) : 4;
    state_.pool->forRange(count, grain, [&](int64_t begin, int64_t end) {
      state_.device->activate();
      for (int64_t i = begin; i < end; ++i) {
        const EngineStep& step = engine_.steps[i];
        try {
          plan_.executables[i] = state_.kernels[i][plan_.variants[i]]->specialize(
              {shapesOf(step.inputs), shapesOf(step.outputs), symbols, formatsOf(step.inputs),
               formatsOf(step.outputs)});
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
    plan_.workspaces.assign(engine_.steps.size(), 0);
    for (size_t i = 0; i < engine_.tensors.size(); ++i) {
      const LoadedEngine::State::Life& life = state_.lives[i];
      bool owns =
          engine_.tensors[i].kind == Kind::Activation && state_.roots[i] == static_cast<int32_t>(i);
      if (!owns || life.first > life.last) continue;
      lifetimes.push_back({static_cast<int64_t>(plan_.bytes[i]), life.first, life.last});
      places.push_back(&plan_.places[i]);
    }
    for (size_t i = 0; i < engine_.steps.size(); ++i) {
      int64_t bytes = static_cast<int64_t>(plan_.executables[i]->workspaceBytes());
      if (bytes == 0) continue;
      int32_t step = static_cast<int32_t>(i);
      lifetimes.push_back({bytes, step, step});
      places.push_back(&plan_.workspaces[i]);
    }
    Packing packing = packOffsets(lifetimes);
    for (size_t i = 0; i < places.size(); ++i) *places[i] = packing.offsets[i];
    plan_.arenaBytes = packing.totalBytes;
    plan_.lowerBoundBytes = liveBytesBound(lifetimes);
  }

  const LoadedEngine::State& state_;
  const EngineData& engine_;
  std::span<const int64_t> inputDims_;
  ShapePlan plan_;
};

}  // namespace

std::shared_ptr<const ShapePlan> makeShapePlan(const LoadedEngine::State& state,
                                               std::span<const int64_t> inputDims) {
  return Planner(state, inputDims).make();
}

}  // namespace carnot
