// The shapes that a context runs at, and what follows from them.

#include <algorithm>
#include <optional>

#include "base/error.h"
#include "runtime/engine_context.h"

namespace carnot {
namespace {

bool admits(const EngineProfile& profile, std::span<const int64_t> values) {
  for (size_t i = 0; i < values.size(); ++i)
    if (values[i] < profile.symbols[i].min || values[i] > profile.symbols[i].max) return false;
  return true;
}

}  // namespace

void EngineContext::setProfile(int profile) {
  int count = static_cast<int>(engine_.profiles.size());
  if (profile < -1 || profile >= count)
    throw Error(ErrorCode::InvalidArgument, fmt::format("profile {}", profile),
                fmt::format("-1 to {}", count - 1));
  profile_ = profile;
  shapesDirty_ = true;
}

void EngineContext::setInputShape(int index, std::span<const int64_t> dims) {
  const EngineTensor& tensor = inputTensor(index);
  bool fits = dims.size() == tensor.dims.size();
  for (size_t axis = 0; fits && axis < dims.size(); ++axis) {
    const DimProgram& program = tensor.dims[axis];
    fits = dims[axis] >= 0 && program.constant().value_or(dims[axis]) == dims[axis];
  }
  if (!fits)
    throw Error(ErrorCode::InvalidArgument,
                fmt::format("shape {} for input {}", shapeText(dims), tensor.name),
                declaredShape(tensor, state_.symbolNames), "give an input of that shape");
  auto to = inputDims_.begin() + static_cast<ptrdiff_t>(inputStarts_[index]);
  if (shapeSet_[index] && std::equal(dims.begin(), dims.end(), to)) return;
  std::copy(dims.begin(), dims.end(), to);
  shapeSet_[index] = 1;
  shapesDirty_ = true;
}

void EngineContext::setFixedShapes() {
  for (size_t i = 0; i < engine_.inputs.size(); ++i) {
    const EngineTensor& tensor = engine_.tensors[engine_.inputs[i]];
    shapeSet_[i] = 1;
    for (size_t axis = 0; axis < tensor.dims.size(); ++axis) {
      std::optional<int64_t> dim = tensor.dims[axis].constant();
      if (dim && *dim >= 0)
        inputDims_[inputStarts_[i] + axis] = *dim;
      else
        shapeSet_[i] = 0;
    }
  }
}

void EngineContext::prepare() {
  if (!shapesDirty_) return;
  for (size_t i = 0; i < shapeSet_.size(); ++i)
    if (!shapeSet_[i])
      throw Error(ErrorCode::InvalidArgument,
                  fmt::format("no shape for input {}", engine_.tensors[engine_.inputs[i]].name),
                  "a shape for each input", "set it before the run");
  for (auto& plan : plans_) plan = nullptr;
  planKey_ = inputDims_;
  if (whole_) planKey_.push_back(-1);  // no dim is negative
  std::shared_ptr<const ShapePlan> plan = state_.plans.find(planKey_);
  if (!plan) plan = state_.plans.insert(planKey_, makeShapePlan(state_, inputDims_, whole_));
  checkProfiles(*plan);
  plans_[0] = std::move(plan);
  shapesDirty_ = false;
  ++version_;
}

const ShapePlan& EngineContext::prepared() const {
  if (!plans_[0] || shapesDirty_)
    throw Error(ErrorCode::InvalidArgument, "shapes that are not prepared",
                "prepare() after the inputs' shapes are set");
  return *plans_[0];
}

void EngineContext::checkProfiles(const ShapePlan& plan) const {
  const std::vector<EngineProfile>& all = engine_.profiles;
  if (std::ranges::none_of(all, &EngineProfile::enforced)) return;
  auto fits = [&](const EngineProfile& profile) {
    return !profile.enforced || admits(profile, plan.symbolValues);
  };
  if (profile_ >= 0 ? fits(all[profile_]) : std::ranges::any_of(all, fits)) return;
  std::string has, needs;
  for (size_t i = 0; i < plan.symbolValues.size(); ++i) {
    const EngineSymbol& symbol = engine_.symbols[i];
    const EngineTensor& input = engine_.tensors[engine_.inputs[symbol.input]];
    has += fmt::format("{}{} = {} (dimension {} of input {})", i ? ", " : "", symbol.name,
                       plan.symbolValues[i], symbol.axis, input.name);
  }
  for (size_t p = 0; p < all.size(); ++p) {
    if (profile_ >= 0 && p != static_cast<size_t>(profile_)) continue;
    needs += fmt::format("{}profile {}:", needs.empty() ? "" : "; or ", p);
    for (size_t i = 0; i < plan.symbolValues.size(); ++i)
      needs += fmt::format("{}{} from {} to {}", i ? ", " : " ", engine_.symbols[i].name,
                           all[p].symbols[i].min, all[p].symbols[i].max);
  }
  throw Error(ErrorCode::InvalidArgument, "shapes outside the profile: " + has, needs,
              "build the engine with a profile that holds these shapes");
}

void EngineContext::planSegment(size_t k) {
  auto values = std::span(symbolValues_).first(state_.segments[k].symbols);
  if (plans_[k] && std::ranges::equal(plans_[k]->symbolValues, values)) return;
  plans_[k] = nullptr;
  planKey_.assign(1, -static_cast<int64_t>(k));  // no dim is negative
  planKey_.insert(planKey_.end(), values.begin(), values.end());
  std::shared_ptr<const ShapePlan> plan = state_.plans.find(planKey_);
  if (!plan) plan = state_.plans.insert(planKey_, makeSegmentPlan(state_, k, values));
  plans_[k] = std::move(plan);
  ++version_;
}

std::span<const int64_t> EngineContext::outputShape(int index) {
  outputTensor(index);
  return tensorShape(engine_.outputs[index]);
}

std::span<const int64_t> EngineContext::tensorShape(int tensor) {
  if (tensor < 0 || static_cast<size_t>(tensor) >= engine_.tensors.size())
    throw Error(ErrorCode::InvalidArgument, fmt::format("tensor {}", tensor),
                fmt::format("0 to {}", engine_.tensors.size() - 1));
  const auto level = static_cast<size_t>(state_.levels[tensor]);
  if (level == 0) return prepared().dimsOf(tensor);
  prepared();
  if (!plans_.back() || !plans_[level])
    throw Error(ErrorCode::InvalidArgument,
                fmt::format("the shape of {} before the run", engine_.tensors[tensor].name),
                fmt::format("a run first: {} depends on the inputs' data",
                            declaredShape(engine_.tensors[tensor], state_.symbolNames)),
                "ask after the run, or set an output allocator, which is told the shape");
  return plans_[level]->dimsOf(tensor);
}

ExecutionContext::Memory EngineContext::memory() {
  prepared();
  Memory memory;
  int64_t arena = 0;
  for (const auto& plan : plans_) {
    if (!plan) break;
    memory.arenaBytes += plan->keptBytes;
    arena = std::max(arena, plan->arenaBytes);
    memory.lowerBoundBytes = std::max(memory.lowerBoundBytes, plan->lowerBoundBytes);
  }
  memory.arenaBytes += arena;
  return memory;
}

StepCost EngineContext::stepCost(int step) {
  prepared();
  size_t k = segmentOf(static_cast<size_t>(step));
  // Where a step finds its outputs' dims, the next segment knows them.
  if (state_.segments[k].finds && static_cast<size_t>(step) + 1 == state_.segments[k].last) ++k;
  return plans_[k] ? costOfStep(state_, *plans_[k], static_cast<size_t>(step)) : StepCost{};
}

std::span<const int> EngineContext::chosenVariants() {
  if (plans_.size() == 1) return prepared().variants;
  prepared();
  variants_.assign(engine_.steps.size(), 0);
  for (size_t step = 0; step < variants_.size(); ++step)
    if (const auto& plan = plans_[segmentOf(step)]) variants_[step] = plan->variants[step];
  return variants_;
}

}  // namespace carnot
