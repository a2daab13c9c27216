#pragma once

#include <algorithm>
#include <memory>

#include "kernels/parameters.h"

namespace carnot {

// A kernel for any processor over plain tensors that packs nothing. `Known` is the problem as
// analyzed; `Run`, an Executable, is made of it, the runtime inputs, the types of all local
// tensors, the count of outputs and the threads.
template <typename Known, typename Run>
class PortableKernel : public Kernel {
 public:
  using Analyze = std::variant<Refusal, Known> (*)(const Problem& problem);
  PortableKernel(std::string_view name, Analyze analyze) : name_(name), analyze_(analyze) {}

  std::string_view name() const override { return name_; }

  Support supports(const Problem& problem) const override {
    auto analysis = analyze_(problem);
    if (auto* refusal = std::get_if<Refusal>(&analysis)) return *refusal;
    return std::vector<Configuration>{
        {{}, plainLayouts(problem.inputs.size()), plainLayouts(problem.outputs.size())}};
  }

  double estimate(const Problem& problem, const Configuration& configuration,
                  const ConcreteShapes& shapes) const override {
    return 8 * Kernel::estimate(problem, configuration, shapes);
  }

  Prepared prepare(const Problem& problem, const Configuration& configuration) const override {
    return {encodeProblem(problem, configuration), {}, presentInputs(problem)};
  }

  std::unique_ptr<BoundKernel> bind(const BindArguments& arguments) const override {
    return std::make_unique<Bound>(arguments, analyze_);
  }

 private:
  class Bound : public BoundKernel {
   public:
    Bound(const BindArguments& arguments, Analyze analyze)
        : stored_(decodeProblem(arguments.parameters, arguments.device)),
          inputs_(presentInputs(stored_.problem)) {
      auto analysis = analyze(stored_.problem);
      if (auto* refusal = std::get_if<Refusal>(&analysis)) throwBadParameters(refusal->reason);
      known_ = std::get<Known>(std::move(analysis));
    }

    std::unique_ptr<Executable> specialize(const ConcreteShapes& shapes) const override {
      return std::make_unique<Run>(known_, inputs_, concreteTypes(stored_, inputs_, shapes),
                                   stored_.problem.outputs.size(),
                                   std::max(1, stored_.problem.device.threads));
    }

   private:
    StoredProblem stored_;
    std::vector<int> inputs_;
    Known known_;
  };

  std::string_view name_;
  Analyze analyze_;
};

}  // namespace carnot
