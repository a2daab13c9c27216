#include "base/error.h"
#include "kernels/one_step.h"
#include "kernels/cpu/strided_copy.h"
#include "ops/elements.h"
#include "ops/slice.h"

namespace carnot {
namespace {

struct SlicedAxis {
  int64_t step, extent, count, stride;  // of the input; the stride in bytes
};

// Where a slice begins is read at run time: it may follow from dims.
class SliceExecutable : public Executable {
 public:
  SliceExecutable(StridedCopy copy, std::vector<SlicedAxis> axes, size_t x, size_t starts)
      : copy_(std::move(copy)), axes_(std::move(axes)), x_(x), starts_(starts) {}

  void run(const RunArguments& arguments) const override {
    if (copy_.items() == 0) return;
    auto* starts = static_cast<const int64_t*>(arguments.inputs[starts_]);
    auto* from = static_cast<const char*>(arguments.inputs[x_]);
    for (size_t i = 0; i < axes_.size(); ++i) {
      const SlicedAxis& axis = axes_[i];
      const int64_t first = sliceStart(starts[i], axis.step, axis.extent);
      const int64_t reach = axis.step > 0 ? axis.extent - 1 - first : first;
      if (first < 0 || reach < 0 || reach / magnitude(axis.step) < axis.count - 1)
        throw Error(ErrorCode::InvalidArgument,
                    fmt::format("a slice of {} elements from {} by {} in an axis of {}", axis.count,
                                starts[i], axis.step, axis.extent),
                    "one within the axis", "pass the bounds that the shapes were set for");
      from += first * axis.stride;
    }
    copy_.run(from, arguments.outputs[0], *arguments.pool);
  }

 private:
  static int64_t magnitude(int64_t step) { return step > 0 ? step : -(step + 1) + 1; }

  StridedCopy copy_;
  std::vector<SlicedAxis> axes_;
  size_t x_, starts_;
};

class CopySlice : public OneStepKernel<Slice> {
 public:
  std::string_view name() const override { return "cpu/copy/slice"; }

 protected:
  Support supportsStep(const Slice&, const OneStep& step, const Problem& problem) const override {
    if (!step.has(0) || !step.has(1) || !step.has(2))
      return Refusal{"slices a tensor between starts and ends"};
    const TensorDesc& x = step.desc(0);
    if (std::string why = whyNotCopied(x.dtype, x.shape.rank()); !why.empty()) return Refusal{why};
    return std::vector<Configuration>{{{}, plainLayouts(problem.inputs.size()), plainLayouts(1)}};
  }

  std::unique_ptr<Executable> makeExecutable(const Slice& op, const StoredProblem& stored,
                                             const ConcreteShapes& shapes) const override {
    const OneStep step(stored.problem);
    const std::vector<int64_t>&x = shapes.inputs[step.position(0)], &y = shapes.outputs[0];
    const int bytes = elementBytes(step.desc(0).dtype);
    std::vector<int64_t> strides = rowMajorStrides(x);
    std::vector<SlicedAxis> axes;
    for (size_t i = 0; i < op.axes.size(); ++i) {
      const auto axis = static_cast<size_t>(op.axes[i]);
      axes.push_back({op.steps[i], x[axis], y[axis], strides[axis] * bytes});
      if (y[axis] > 1) strides[axis] *= op.steps[i];
    }
    return std::make_unique<SliceExecutable>(
        StridedCopy(y, strides, rowMajorStrides(y), bytes, stored.problem.device.isa),
        std::move(axes), step.position(0), step.position(1));
  }
};

}  // namespace

const Kernel& copySlice() {
  static const CopySlice kernel;
  return kernel;
}

}  // namespace carnot
