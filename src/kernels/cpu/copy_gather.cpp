#include "base/threads.h"
#include "kernels/one_step.h"
#include "kernels/cpu/strided_copy.h"
#include "ops/elements.h"
#include "ops/gather.h"

namespace carnot {
namespace {

class GatherExecutable : public Executable {
 public:
  GatherExecutable(const OneStep& step, size_t axis, const ConcreteShapes& shapes)
      : x_(step.position(0)), indices_(step.position(1)), wide_(step.desc(1).dtype == DType::I64) {
    const AxisSplit split = splitAt(shapes.inputs[x_], axis);
    extent_ = split.extent;
    sliceBytes_ = split.inner * elementBytes(step.desc(0).dtype);
    count_ = elementCount(shapes.inputs[indices_]);
    slices_ = split.outer * count_;
    pieces_ = std::max<int64_t>(1, sliceBytes_ / kCopyGrain);
  }

  void run(const RunArguments& arguments) const override {
    auto* x = static_cast<const char*>(arguments.inputs[x_]);
    auto* y = static_cast<char*>(arguments.outputs[0]);
    auto gatherItems = [&](const auto* indices, int64_t begin, int64_t end) {
      for (int64_t item = begin; item < end;) {
        // Slices of one index of the outer axes, then the next; pieces when they are large.
        const int64_t piece = item % pieces_, slice = item / pieces_;
        const int64_t outer = slice / count_, first = slice % count_;
        const char* from = x + outer * extent_ * sliceBytes_;
        char* to = y + slice * sliceBytes_;
        if (pieces_ > 1) {
          const int64_t start = sliceBytes_ * piece / pieces_;
          const char* source = from + wrapIndex(indices[first], extent_) * sliceBytes_;
          copyBytes(to + start, source + start, sliceBytes_ * (piece + 1) / pieces_ - start);
          ++item;
          continue;
        }
        const int64_t last = std::min(count_, first + end - item);
        copySlices(to, from, indices, first, last);
        item += last - first;
      }
    };
    if (sliceBytes_ == 0) return;
    const int64_t grain = std::max<int64_t>(1, kCopyGrain * pieces_ / sliceBytes_);
    arguments.pool->forRange(slices_ * pieces_, grain, [&](int64_t begin, int64_t end) {
      const void* indices = arguments.inputs[indices_];
      if (wide_)
        gatherItems(static_cast<const int64_t*>(indices), begin, end);
      else
        gatherItems(static_cast<const int32_t*>(indices), begin, end);
    });
  }

 private:
  template <typename Index>
  void copySlices(char* to, const char* from, const Index* indices, int64_t first,
                  int64_t last) const {
    auto copyAll = [&](int64_t bytes) {
      for (int64_t i = first; i < last; ++i, to += bytes)
        copyBytes(to, from + wrapIndex(indices[i], extent_) * bytes, bytes);
    };
    if (sliceBytes_ == 4)
      copyAll(4);
    else if (sliceBytes_ == 8)
      copyAll(8);
    else
      copyAll(sliceBytes_);
  }

  size_t x_, indices_;
  bool wide_;
  int64_t extent_ = 0, sliceBytes_ = 0, count_ = 0, slices_ = 0, pieces_ = 1;
};

class CopyGather : public OneStepKernel<Gather> {
 public:
  std::string_view name() const override { return "cpu/copy/gather"; }

 protected:
  Support supportsStep(const Gather&, const OneStep& step, const Problem& problem) const override {
    if (!step.has(0) || !step.has(1)) return Refusal{"gathers from a tensor by indices"};
    const TensorDesc& x = step.desc(0);
    if (std::string why = whyNotCopied(x.dtype, x.shape.rank()); !why.empty()) return Refusal{why};
    return std::vector<Configuration>{{{}, plainLayouts(problem.inputs.size()), plainLayouts(1)}};
  }

  std::unique_ptr<Executable> makeExecutable(const Gather& op, const StoredProblem& stored,
                                             const ConcreteShapes& shapes) const override {
    return std::make_unique<GatherExecutable>(OneStep(stored.problem), static_cast<size_t>(op.axis),
                                              shapes);
  }
};

}  // namespace

const Kernel& copyGather() {
  static const CopyGather kernel;
  return kernel;
}

}  // namespace carnot
