#include "kernels/one_step.h"
#include "kernels/cpu/strided_copy.h"
#include "ops/elements.h"
#include "ops/transpose.h"

namespace carnot {
namespace {

class TransposeExecutable : public Executable {
 public:
  explicit TransposeExecutable(StridedCopy copy) : copy_(std::move(copy)) {}

  void run(const RunArguments& arguments) const override {
    copy_.run(arguments.inputs[0], arguments.outputs[0], *arguments.pool);
  }

 private:
  StridedCopy copy_;
};

class CopyTranspose : public OneStepKernel<Transpose> {
 public:
  std::string_view name() const override { return "cpu/copy/transpose"; }

 protected:
  Support supportsStep(const Transpose&, const OneStep& step, const Problem&) const override {
    if (!step.has(0)) return Refusal{"transposes one tensor"};
    const TensorDesc& x = step.desc(0);
    if (std::string why = whyNotCopied(x.dtype, x.shape.rank()); !why.empty()) return Refusal{why};
    return std::vector<Configuration>{{{}, plainLayouts(1), plainLayouts(1)}};
  }

  std::unique_ptr<Executable> makeExecutable(const Transpose& op, const StoredProblem& stored,
                                             const ConcreteShapes& shapes) const override {
    const std::vector<int64_t> strides = rowMajorStrides(shapes.inputs[0]);
    std::vector<int64_t> from;
    for (int64_t axis : op.perm) from.push_back(strides[static_cast<size_t>(axis)]);
    return std::make_unique<TransposeExecutable>(
        StridedCopy(shapes.outputs[0], from, rowMajorStrides(shapes.outputs[0]),
                    elementBytes(stored.problem.inputs[0].dtype), stored.problem.device.isa));
  }
};

}  // namespace

const Kernel& copyTranspose() {
  static const CopyTranspose kernel;
  return kernel;
}

}  // namespace carnot
