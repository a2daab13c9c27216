#include "kernels/one_step.h"
#include "kernels/cpu/strided_copy.h"
#include "ops/elements.h"
#include "ops/expand.h"

namespace carnot {
namespace {

class ExpandExecutable : public Executable {
 public:
  explicit ExpandExecutable(StridedCopy copy) : copy_(std::move(copy)) {}

  void run(const RunArguments& arguments) const override {
    copy_.run(arguments.inputs[0], arguments.outputs[0], *arguments.pool);
  }

 private:
  StridedCopy copy_;
};

class CopyExpand : public OneStepKernel<Expand> {
 public:
  std::string_view name() const override { return "cpu/copy/expand"; }

 protected:
  Support supportsStep(const Expand& op, const OneStep& step, const Problem&) const override {
    if (!step.has(0)) return Refusal{"expands one tensor"};
    if (std::string why = whyNotCopied(step.desc(0).dtype, op.shape.rank()); !why.empty())
      return Refusal{why};
    return std::vector<Configuration>{{{}, plainLayouts(1), plainLayouts(1)}};
  }

  std::unique_ptr<Executable> makeExecutable(const Expand&, const StoredProblem& stored,
                                             const ConcreteShapes& shapes) const override {
    const std::vector<int64_t>& to = shapes.outputs[0];
    return std::make_unique<ExpandExecutable>(
        StridedCopy(to, broadcastStrides(shapes.inputs[0], to), rowMajorStrides(to),
                    elementBytes(stored.problem.inputs[0].dtype), stored.problem.device.isa));
  }
};

}  // namespace

const Kernel& copyExpand() {
  static const CopyExpand kernel;
  return kernel;
}

}  // namespace carnot
