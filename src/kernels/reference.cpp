#include "kernels/parameters.h"

namespace carnot {
namespace {

class ReferenceExecutable : public Executable {
 public:
  ReferenceExecutable(const Problem& problem, ConcreteShapes shapes)
      : problem_(problem),
        region_(problem.substitute(shapes.symbols).region),
        shapes_(std::move(shapes)) {}

  void run(const RunArguments& arguments) const override {
    std::vector<TensorView> inputs(problem_.inputs.size()), outputs(problem_.outputs.size());
    size_t next = 0;
    for (size_t i = 0; i < inputs.size(); ++i) {
      if (!problem_.inputs[i].present) continue;
      inputs[i] = {const_cast<void*>(arguments.inputs[next]), problem_.inputs[i].dtype,
                   shapes_.inputs[next]};
      ++next;
    }
    if (shapes_.found) {
      auto allocate = [&](size_t output, std::vector<int64_t> dims) {
        void* data = (*arguments.allocate)(output, dims);
        // The dims are looked at no more.
        return TensorView{data, problem_.outputs[output].dtype, {}};
      };
      return referenceRegion(region_, {inputs, outputs, allocate});
    }
    for (size_t i = 0; i < outputs.size(); ++i)
      outputs[i] = {arguments.outputs[i], problem_.outputs[i].dtype, shapes_.outputs[i]};
    referenceRegion(region_, {inputs, outputs, {}});
  }

 private:
  const Problem& problem_;
  Region region_;
  ConcreteShapes shapes_;
};

class BoundReference : public BoundKernel {
 public:
  explicit BoundReference(StoredProblem stored)
      : stored_(std::move(stored)), inputs_(presentInputs(stored_.problem)) {}

  std::unique_ptr<Executable> specialize(const ConcreteShapes& shapes) const override {
    concreteTypes(stored_, inputs_, shapes);
    return std::make_unique<ReferenceExecutable>(stored_.problem, shapes);
  }

 private:
  StoredProblem stored_;
  std::vector<int> inputs_;
};

// Any region through its operators' reference code, in plain layouts.
class ReferenceKernel : public Kernel {
 public:
  std::string_view name() const override { return "reference"; }
  bool findsDims() const override { return true; }

  Support supports(const Problem& problem) const override {
    return std::vector<Configuration>{
        {{}, plainLayouts(problem.inputs.size()), plainLayouts(problem.outputs.size())}};
  }

  double estimate(const Problem& problem, const Configuration& configuration,
                  const ConcreteShapes& shapes) const override {
    return 1000 * Kernel::estimate(problem, configuration, shapes);
  }

  Prepared prepare(const Problem& problem, const Configuration& configuration) const override {
    return {encodeProblem(problem, configuration), {}, presentInputs(problem)};
  }

  std::unique_ptr<BoundKernel> bind(const BindArguments& arguments) const override {
    return std::make_unique<BoundReference>(decodeProblem(arguments.parameters, arguments.device));
  }
};

}  // namespace

const Kernel& referenceKernel() {
  static const ReferenceKernel kernel;
  return kernel;
}

}  // namespace carnot
