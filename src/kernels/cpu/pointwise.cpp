#include "kernels/cpu/loop_problem.h"

namespace carnot {
namespace {

// Regions of pointwise operators as one generated loop.
class PointwiseLoop final : public Kernel {
 public:
  std::string_view name() const override { return "cpu/loop/pointwise"; }

  Support supports(const Problem& problem) const override {
    auto analyzed = loopProblem(problem, false);
    if (auto* refusal = std::get_if<Refusal>(&analyzed)) return std::move(*refusal);
    return std::move(std::get<LoopProblem>(analyzed).configurations);
  }

  Prepared prepare(const Problem& problem, const Configuration& configuration) const override {
    return prepareLoop(problem, configuration, false);
  }

  std::unique_ptr<BoundKernel> bind(const BindArguments& arguments) const override {
    return bindLoop(arguments, false);
  }
};

}  // namespace

const Kernel& pointwiseLoop() {
  static const PointwiseLoop kernel;
  return kernel;
}

}  // namespace carnot
