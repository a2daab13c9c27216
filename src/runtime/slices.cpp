#include "runtime/slices.h"

#include <algorithm>
#include <optional>

#include "base/error.h"
#include "ops/region.h"
#include "runtime/shape_plan.h"

namespace carnot {
namespace {

using Kind = EngineTensor::Kind;

// What a step reads and writes may take this many times the second caches before it is cut.
constexpr size_t kCachesOfStep = 4;
// Weights are read again in each turn: they are to be few, or fewer than the images' own bytes.
constexpr size_t kFewWeightBytes = 256 << 10;
constexpr size_t kWeightShare = 2;
constexpr size_t kAlignment = 64;  // of what kernels are given

bool uses(const DimProgram& program, size_t symbol) {
  for (size_t i = 0; i + 1 < program.code.size(); i += 2)
    if (program.code[i] == static_cast<int64_t>(DimOp::Symbol) &&
        program.code[i + 1] == static_cast<int64_t>(symbol))
      return true;
  return false;
}

class Finder {
 public:
  Finder(const LoadedEngine::State& state, const ShapePlan& plan)
      : state_(state), engine_(*state.engine), plan_(plan) {
    const DeviceTraits& traits = state.device->traits();
    budget_ = kCachesOfStep * traits.l2Bytes * static_cast<size_t>(std::max(1, traits.threads));
  }

  std::vector<Slices> run() {
    std::vector<Slices> found;
    for (size_t step = 0; step < engine_.steps.size();) {
      const std::optional<size_t> symbol = heavy(step) ? batchOf(step) : std::nullopt;
      if (!symbol) {
        ++step;
        continue;
      }
      const Slices slices = grow(step, *symbol);
      step = std::max(slices.last, step + 1);
      if (slices.turns > 1 && slices.last - slices.first > 1) found.push_back(slices);
    }
    return found;
  }

 private:
  size_t movedBytes(size_t step) const {
    size_t bytes = 0;
    for (const auto* list : {&engine_.steps[step].inputs, &engine_.steps[step].outputs})
      for (int32_t tensor : *list)
        if (tensor >= 0 && engine_.tensors[tensor].kind != Kind::Constant)
          bytes += plan_.bytes[tensor];
    return bytes;
  }
  bool heavy(size_t step) const { return movedBytes(step) > budget_; }

  size_t weightBytes(size_t step) const {
    size_t bytes = 0;
    for (int32_t tensor : engine_.steps[step].inputs)
      if (tensor >= 0 && engine_.tensors[tensor].kind == Kind::Constant)
        bytes += plan_.bytes[tensor];
    const auto variant = static_cast<size_t>(plan_.variants[step]);
    for (int32_t weight : engine_.steps[step].variants[variant].weights)
      bytes += engine_.weights[weight].data.bytes();
    return bytes;
  }

  // The steps from `first` on that go together: the last one is heavy too.
  Slices grow(size_t first, size_t symbol) const {
    Slices slices{first, first, symbol, plan_.symbolValues[symbol], 1};
    const int64_t batch = slices.images;
    if (batch < 2) return slices;
    for (size_t step = first; step < engine_.steps.size() && batchOf(step) == symbol; ++step) {
      const size_t ofImage = std::max<size_t>(1, movedBytes(step) / static_cast<size_t>(batch));
      int64_t images = std::clamp<int64_t>(static_cast<int64_t>(budget_ / ofImage), 1, batch);
      while (batch % images) --images;
      images = std::min(images, slices.images);
      const size_t weights = weightBytes(step);
      if (weights > kFewWeightBytes &&
          weights * kWeightShare > ofImage * static_cast<size_t>(images))
        break;
      if (!heavy(step)) continue;
      slices.images = images;
      slices.last = step + 1;
    }
    slices.turns = batch / slices.images;
    return slices;
  }

  // The symbol that the step's images are counted by, when each is computed from itself alone.
  std::optional<size_t> batchOf(size_t index) const {
    const EngineStep& step = engine_.steps[index];
    if (step.control != EngineStep::Control::None || step.region.empty()) return std::nullopt;
    const EngineTensor& result = engine_.tensors[step.outputs.front()];
    const std::optional<int32_t> symbol =
        result.dims.empty() ? std::nullopt : result.dims.front().symbol();
    if (!symbol) return std::nullopt;
    const Slices batch{.symbol = static_cast<size_t>(*symbol)};
    for (int32_t tensor : step.outputs)
      if (!mayBeCut(tensor, batch)) return std::nullopt;
    bool any = false;
    for (int32_t tensor : step.inputs) {
      if (tensor < 0) continue;
      const bool cut = mayBeCut(tensor, batch);
      if (!cut && !staysWhole(tensor, batch)) return std::nullopt;
      any |= cut;
    }
    return any && separates(step, batch) ? std::optional(batch.symbol) : std::nullopt;
  }

  // Whether the tensor is one image behind the other, each a multiple of the alignment.
  bool mayBeCut(int32_t tensor, const Slices& batch) const {
    const EngineTensor& declared = engine_.tensors[tensor];
    const bool placed = declared.kind == Kind::Activation || declared.kind == Kind::Input ||
                        declared.kind == Kind::Output;
    if (!placed || declared.viewOf >= 0 || !isSliced(declared, batch)) return false;
    for (size_t axis = 1; axis < declared.dims.size(); ++axis)
      if (uses(declared.dims[axis], batch.symbol)) return false;
    const auto images = static_cast<size_t>(plan_.symbolValues[batch.symbol]);
    return images > 0 && plan_.bytes[tensor] % (images * kAlignment) == 0;
  }

  // Whether the tensor, and the memory that it lies in, have nothing to do with the batch.
  bool staysWhole(int32_t tensor, const Slices& batch) const {
    for (int32_t i : {tensor, state_.roots[tensor]}) {
      const EngineTensor& declared = engine_.tensors[i];
      if (declared.kind == Kind::Shape) return false;
      for (const DimProgram& dim : declared.dims)
        if (uses(dim, batch.symbol)) return false;
    }
    return true;
  }

  bool separates(const EngineStep& step, const Slices& batch) const {
    const std::string& name = state_.symbolNames[batch.symbol];
    try {
      const Region region = Region::parse(step.region);
      std::vector<TensorType> types;
      for (int32_t tensor : step.regionInputs) types.push_back(typeOf(tensor));
      return types.size() == static_cast<size_t>(region.inputCount) &&
             keepsImagesApart(region, inferRegion(region, types), name);
    } catch (const Error&) {
      return false;
    }
  }

  TensorType typeOf(int32_t index) const {
    if (index < 0) return {};
    const EngineTensor& tensor = engine_.tensors[index];
    TensorType type{tensor.dtype, {}};
    for (const DimProgram& dim : tensor.dims) type.shape.push(dim.toDim(state_.symbolNames));
    return type;
  }

  const LoadedEngine::State& state_;
  const EngineData& engine_;
  const ShapePlan& plan_;
  size_t budget_;
};

}  // namespace

bool isSliced(const EngineTensor& tensor, const Slices& slices) {
  return !tensor.dims.empty() && tensor.dims[0].symbol() == static_cast<int32_t>(slices.symbol);
}

bool staysWithin(const LoadedEngine::State& state, int32_t tensor, const Slices& slices) {
  const LoadedEngine::State::Life& life = state.lives[tensor];
  return state.engine->tensors[tensor].kind == Kind::Activation &&
         life.first >= static_cast<int32_t>(slices.first) &&
         life.last < static_cast<int32_t>(slices.last);
}

std::vector<Slices> findSlices(const LoadedEngine::State& state, const ShapePlan& plan) {
  if (state.segments.size() > 1 || !state.device->sharesHostMemory()) return {};
  return Finder(state, plan).run();
}

}  // namespace carnot
