#pragma once

#include <fmt/core.h>

#include <algorithm>
#include <numeric>
#include <variant>

#include "kernels/parameters.h"

namespace carnot {

// The single step of a region with what it reads.
class OneStep {
 public:
  // Requires a region of one step; see OneStepKernel.
  explicit OneStep(const Problem& problem)
      : problem_(problem), step_(problem.region.steps[0]), runtimeInputs_(presentInputs(problem)) {}

  size_t inputCount() const { return step_.inputs.size(); }
  bool has(size_t input) const {
    return input < step_.inputs.size() && step_.inputs[input] >= 0 && desc(input).present;
  }
  const TensorDesc& desc(size_t input) const {
    return problem_.inputs[static_cast<size_t>(step_.inputs[input])];
  }
  // Where run() and specialize() find an input that the step has.
  size_t position(size_t input) const { return positionOf(runtimeInputs_, step_.inputs[input]); }
  const Layout& layout(size_t input, const Configuration& configuration) const {
    return configuration.inputs[static_cast<size_t>(step_.inputs[input])];
  }

 private:
  const Problem& problem_;
  const Region::Step& step_;
  std::vector<int> runtimeInputs_;
};

// Kernels of regions that are one Op, all of whose outputs leave. They pack nothing.
template <typename Op, int Outputs = 1>
class OneStepKernel : public Kernel {
 public:
  Support supports(const Problem& problem) const final {
    const Region& region = problem.region;
    const Op* op = region.steps.size() == 1 ? region.steps[0].op.template as<Op>() : nullptr;
    std::vector<int> outputs(Outputs);
    if (op) std::iota(outputs.begin(), outputs.end(), region.steps[0].firstOutput);
    if (!op || region.steps[0].outputCount != Outputs || region.outputs != outputs)
      return Refusal{
          fmt::format("carries out one {}, not {}", definitionOf<Op>().name, region.label())};
    return supportsStep(*op, OneStep(problem), problem);
  }

  Prepared prepare(const Problem& problem, const Configuration& configuration) const final {
    return {encodeProblem(problem, configuration), {}, presentInputs(problem)};
  }

  std::unique_ptr<BoundKernel> bind(const BindArguments& arguments) const final {
    StoredProblem stored = decodeProblem(arguments.parameters, arguments.device);
    Support support = supports(stored.problem);
    if (auto* refusal = std::get_if<Refusal>(&support)) throwBadParameters(refusal->reason);
    const auto& known = std::get<std::vector<Configuration>>(support);
    const bool holds = std::ranges::any_of(known, [&](const Configuration& one) {
      return one.parameters == stored.configuration.parameters &&
             one.inputs == stored.configuration.inputs &&
             one.outputs == stored.configuration.outputs;
    });
    if (!holds) throwBadParameters("the configuration is not the kernel's");
    return std::make_unique<Bound>(*this, std::move(stored));
  }

 protected:
  virtual Support supportsStep(const Op& op, const OneStep& step, const Problem& problem) const = 0;
  // At dims that hold for the operator.
  virtual std::unique_ptr<Executable> makeExecutable(const Op& op, const StoredProblem& stored,
                                                     const ConcreteShapes& shapes) const = 0;

 private:
  class Bound : public BoundKernel {
   public:
    Bound(const OneStepKernel& kernel, StoredProblem stored)
        : kernel_(kernel), stored_(std::move(stored)) {}

    std::unique_ptr<Executable> specialize(const ConcreteShapes& shapes) const override {
      const Problem& problem = stored_.problem;
      concreteTypes(stored_, presentInputs(problem), shapes);
      return kernel_.makeExecutable(*problem.region.steps[0].op.template as<Op>(), stored_, shapes);
    }

   private:
    const OneStepKernel& kernel_;
    StoredProblem stored_;
  };
};

}  // namespace carnot
