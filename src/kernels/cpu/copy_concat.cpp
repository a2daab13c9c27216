#include "base/threads.h"
#include "kernels/one_step.h"
#include "kernels/cpu/strided_copy.h"
#include "ops/concat.h"
#include "ops/elements.h"

namespace carnot {
namespace {

struct ConcatPart {
  StridedCopy copy;
  size_t input;
  int64_t offset;  // in the output, in bytes
};

class ConcatExecutable : public Executable {
 public:
  explicit ConcatExecutable(std::vector<ConcatPart> parts) : parts_(std::move(parts)) {
    for (const ConcatPart& part : parts_) {
      items_ += part.copy.items();
      grain_ = std::max(grain_, part.copy.grain());
    }
  }

  void run(const RunArguments& arguments) const override {
    auto copyItems = [&](int64_t begin, int64_t end) {
      int64_t first = 0;  // item of the part
      for (const ConcatPart& part : parts_) {
        if (first >= end) break;
        const int64_t items = part.copy.items();
        part.copy.run(arguments.inputs[part.input],
                      static_cast<char*>(arguments.outputs[0]) + part.offset,
                      std::max<int64_t>(begin - first, 0), std::min(end - first, items));
        first += items;
      }
    };
    arguments.pool->forRange(items_, grain_, copyItems);
  }

 private:
  std::vector<ConcatPart> parts_;
  int64_t items_ = 0, grain_ = 1;
};

class CopyConcat : public OneStepKernel<Concat> {
 public:
  std::string_view name() const override { return "cpu/copy/concat"; }

 protected:
  Support supportsStep(const Concat& op, const OneStep& step,
                       const Problem& problem) const override {
    if (step.inputCount() == 0) return Refusal{"joins one or more tensors"};
    for (size_t i = 0; i < step.inputCount(); ++i) {
      if (!step.has(i)) return Refusal{"joins tensors that are all there"};
      const TensorDesc& x = step.desc(i);
      if (std::string why = whyNotCopied(x.dtype, x.shape.rank()); !why.empty())
        return Refusal{why};
    }
    const size_t count = problem.inputs.size();
    std::vector<Configuration> configurations{{{}, plainLayouts(count), plainLayouts(1)}};
    const Layout blocked = Layout::channelBlocked(problem.device.floatLanes());
    if (joinsBlocks(op, step, blocked.block))
      configurations.push_back({{}, std::vector<Layout>(count, blocked), {blocked}});
    return configurations;
  }

  std::unique_ptr<Executable> makeExecutable(const Concat& op, const StoredProblem& stored,
                                             const ConcreteShapes& shapes) const override {
    const OneStep step(stored.problem);
    const Layout layout = stored.configuration.outputs[0];
    const int bytes = elementBytes(step.desc(0).dtype);
    const std::vector<int64_t> strides = rowMajorStrides(physicalDims(layout, shapes.outputs[0]));
    const auto axis = static_cast<size_t>(op.axis);
    std::vector<ConcatPart> parts;
    int64_t start = 0;
    for (size_t i = 0; i < step.inputCount(); ++i) {
      const size_t input = step.position(i);
      const std::vector<int64_t> dims = physicalDims(layout, shapes.inputs[input]);
      parts.push_back(
          {StridedCopy(dims, rowMajorStrides(dims), strides, bytes, stored.problem.device.isa),
           input, start * strides[axis] * bytes});
      start += dims[axis];
    }
    return std::make_unique<ConcatExecutable>(std::move(parts));
  }

 private:
  // Joined along the channels, every part but the last has to end with a block.
  static bool joinsBlocks(const Concat& op, const OneStep& step, int block) {
    for (size_t i = 0; i < step.inputCount(); ++i) {
      const TensorDesc& x = step.desc(i);
      if (x.dtype != DType::F32 || x.shape.rank() < 3) return false;
      if (op.axis != 1 || i + 1 == step.inputCount()) continue;
      const auto channels = x.shape[1].tryConstant();
      if (!channels || *channels % block != 0) return false;
    }
    return true;
  }
};

}  // namespace

const Kernel& copyConcat() {
  static const CopyConcat kernel;
  return kernel;
}

}  // namespace carnot
