#pragma once

#include <variant>
#include <vector>

#include "codegen/loop.h"
#include "codegen/loop_shape.h"
#include "kernels/parameters.h"

namespace carnot {

// A problem that generated loops carry out, and in which layouts.
struct LoopProblem {
  Loop loop;
  std::vector<Configuration> configurations;

  // Constants of the problem that a configuration packs into its block, in the order of
  // Prepared::weights; single values that became code are in neither list.
  std::vector<int> packed(const Problem& problem, const Configuration& configuration) const;
  std::vector<int> runtimeInputs(const Problem& problem, const Configuration& configuration) const;
};

// `rows`: whether the region must reduce, or must not.
std::variant<Refusal, LoopProblem> loopProblem(const Problem& problem, bool rows);

// The block in which a configuration's loop runs; 1 in plain layout.
int blockOf(const Configuration& configuration);

Prepared prepareLoop(const Problem& problem, const Configuration& configuration, bool rows);
std::unique_ptr<BoundKernel> bindLoop(const BindArguments& arguments, bool rows);

}  // namespace carnot
