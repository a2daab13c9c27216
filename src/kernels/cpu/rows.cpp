#include "kernels/cpu/loop_problem.h"

namespace carnot {
namespace {

// Regions that reduce along some axes (softmax, norms, reductions), with what is pointwise around,
// as generated loops over rows.
class RowLoop final : public Kernel {
 public:
  std::string_view name() const override { return "cpu/loop/rows"; }

  Support supports(const Problem& problem) const override {
    auto analyzed = loopProblem(problem, true);
    if (auto* refusal = std::get_if<Refusal>(&analyzed)) return std::move(*refusal);
    return std::move(std::get<LoopProblem>(analyzed).configurations);
  }

  Prepared prepare(const Problem& problem, const Configuration& configuration) const override {
    return prepareLoop(problem, configuration, true);
  }

  std::unique_ptr<BoundKernel> bind(const BindArguments& arguments) const override {
    return bindLoop(arguments, true);
  }
};

}  // namespace

const Kernel& rowLoop() {
  static const RowLoop kernel;
  return kernel;
}

}  // namespace carnot
