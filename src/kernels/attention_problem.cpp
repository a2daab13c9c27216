#include "kernels/attention_problem.h"

#include <carnot/error.h>
#include <fmt/core.h>

#include <algorithm>
#include <set>

#include "ops/transpose.h"

namespace carnot {
namespace {

using Axes = AttentionProblem::Axes;

// The axes when the step only moves rows of the last axis.
std::optional<Axes> movedRows(const Region::Step& step) {
  const auto* move = step.op.as<Transpose>();
  if (!move || step.inputs.size() != 1 || move->perm.size() != 4 || move->perm[3] != 3)
    return std::nullopt;
  Axes axes;
  std::ranges::copy(move->perm, axes.begin());
  return axes;
}

// Fills what the region reads and the axes.
std::optional<Refusal> readRegion(const Region& region, AttentionProblem& out) {
  Refusal other{fmt::format("carries out one Attention, not {}", region.label())};
  const Region::Step* attention = nullptr;
  for (const Region::Step& step : region.steps)
    if (step.op.is<Attention>()) attention = &step;
  if (!attention || attention->inputs.size() > 4 || region.outputs.size() != 1) return other;
  std::set<const Region::Step*> used{attention};
  for (size_t i = 0; i < attention->inputs.size(); ++i) {
    int tensor = attention->inputs[i];
    for (const Region::Step& step : region.steps) {
      if (tensor < 0 || step.firstOutput != tensor || region.isInput(tensor)) continue;
      const std::optional<Axes> axes = i < 3 ? movedRows(step) : std::nullopt;
      if (!axes) return other;
      out.axes[i] = *axes;
      tensor = step.inputs[0];
      used.insert(&step);
      break;
    }
    if (tensor >= 0 && !region.isInput(tensor)) return other;
    out.inputs[i] = tensor;
  }
  if (region.outputs[0] != attention->firstOutput) {
    const Region::Step& last = region.steps.back();
    const std::optional<Axes> axes = movedRows(last);
    if (!axes || last.inputs[0] != attention->firstOutput) return other;
    for (size_t axis = 0; axis < 4; ++axis)
      out.axes[3][static_cast<size_t>((*axes)[axis])] = static_cast<int64_t>(axis);
    used.insert(&last);
  }
  if (used.size() != region.steps.size()) return other;
  const Attention& op = *attention->op.as<Attention>();
  out.scale = op.scale;
  out.causal = op.causal;
  return std::nullopt;
}

}  // namespace

std::variant<Refusal, AttentionProblem> readAttention(const Problem& problem, int64_t maxSize) {
  try {
    problem.tensorTypes();  // ranks and orders of axes are sound
  } catch (const Error& error) {
    return Refusal{error.what()};
  }
  AttentionProblem out;
  if (auto refusal = readRegion(problem.region, out)) return *refusal;
  for (size_t i = 0; i < 3; ++i) {
    if (out.inputs[i] < 0) return Refusal{"needs queries, keys and values"};
    const Dim& size = problem.inputs[static_cast<size_t>(out.inputs[i])].shape[3];
    if (!size.isConstant() || size.constant() < 1 || size.constant() > maxSize)
      return Refusal{
          fmt::format("needs a constant size of at most {}, not {}", maxSize, size.toString())};
    (i < 2 ? out.size : out.valueSize) = size.constant();
  }
  return out;
}

AttentionPlace::AttentionPlace(const AttentionProblem::Axes& axes,
                               const std::vector<int64_t>& dims) {
  int64_t strides[4], stride = 1;
  for (size_t axis = 4; axis-- > 0; stride *= dims[axis]) strides[axis] = stride;
  auto at = [&](const auto& values, int i) { return values[static_cast<size_t>(axes[i])]; };
  batches = at(dims, 0), heads = at(dims, 1), length = at(dims, 2);
  batchStride = at(strides, 0), headStride = at(strides, 1), rowStride = at(strides, 2);
}

}  // namespace carnot
