// Operators that put elements elsewhere, as strided copies: Transpose, Expand, Slice, Concat,
// Reformat.

#include <algorithm>
#include <array>

#include "base/error.h"
#include "kernels/cuda/strided_copy.h"
#include "kernels/one_step.h"
#include "ops/concat.h"
#include "ops/elements.h"
#include "ops/expand.h"
#include "ops/reformat.h"
#include "ops/slice.h"
#include "ops/transpose.h"

namespace carnot {
namespace {

using cuda::StridedCopy;

struct Part {
  StridedCopy copy;
  size_t input;
  int64_t from = 0, to = 0;  // offsets in bytes
};

class CopyExecutable final : public Executable {
 public:
  explicit CopyExecutable(std::vector<Part> parts) : parts_(std::move(parts)) {}

  void run(const RunArguments& arguments) const override {
    for (const Part& part : parts_)
      part.copy.run(static_cast<const char*>(arguments.inputs[part.input]) + part.from,
                    static_cast<char*>(arguments.outputs[0]) + part.to, *arguments.stream);
  }

 private:
  std::vector<Part> parts_;
};

int bytesOf(DType type) { return dtypeBits(type) / 8; }

std::unique_ptr<Executable> one(StridedCopy copy, size_t input, int64_t from = 0) {
  std::vector<Part> parts;
  parts.push_back({std::move(copy), input, from});
  return std::make_unique<CopyExecutable>(std::move(parts));
}

Support plain(const Problem& problem) {
  return std::vector<Configuration>{
      {{}, plainLayouts(problem.inputs.size()), plainLayouts(problem.outputs.size())}};
}

// Elements from one index of each logical axis to its next.
std::vector<int64_t> stridesIn(Layout layout, const std::vector<int64_t>& dims) {
  if (layout.isPlain()) return rowMajorStrides(dims);
  std::vector<int64_t> strides = rowMajorStrides(physicalDims(layout, dims));
  std::rotate(strides.begin() + 1, strides.end() - 1, strides.end());
  return strides;
}

// In plain layout, and channels-last where every tensor of `inputs` and the output are of one rank
// that has it.
Support eitherLayout(const Problem& problem, std::span<const int> inputs) {
  std::vector<Configuration> all = std::get<std::vector<Configuration>>(plain(problem));
  Configuration last = all[0];
  if (problem.outputs[0].shape.rank() < 3) return all;
  for (int input : inputs) {
    const TensorDesc& desc = problem.inputs[static_cast<size_t>(input)];
    if (desc.constant || desc.shape.rank() != problem.outputs[0].shape.rank()) return all;
    last.inputs[static_cast<size_t>(input)] = Layout::channelsLast();
  }
  last.outputs[0] = Layout::channelsLast();
  all.push_back(std::move(last));
  return all;
}

class CudaReformat final : public OneStepKernel<Reformat> {
 public:
  std::string_view name() const override { return "cuda/copy/reformat"; }

 protected:
  Support supportsStep(const Reformat&, const OneStep& step, const Problem&) const override {
    if (!step.has(0)) return Refusal{"copies one tensor"};
    if (std::string why = cuda::whyNotCopied(step.desc(0).dtype); !why.empty()) return Refusal{why};
    std::vector<Layout> layouts{Layout::plain()};
    if (step.desc(0).shape.rank() >= 3) layouts.push_back(Layout::channelsLast());
    std::vector<Configuration> all;
    for (Layout from : layouts)
      for (Layout to : layouts) all.push_back({{}, {from}, {to}});
    return all;
  }

  std::unique_ptr<Executable> makeExecutable(const Reformat&, const StoredProblem& stored,
                                             const ConcreteShapes& shapes) const override {
    const std::vector<int64_t>& dims = shapes.outputs[0];
    const Configuration& configuration = stored.configuration;
    return one(StridedCopy(dims, stridesIn(configuration.inputs[0], dims),
                           stridesIn(configuration.outputs[0], dims),
                           bytesOf(stored.problem.inputs[0].dtype), stored.problem.device),
               0);
  }
};

class CudaTranspose final : public OneStepKernel<Transpose> {
 public:
  std::string_view name() const override { return "cuda/copy/transpose"; }

 protected:
  Support supportsStep(const Transpose&, const OneStep& step,
                       const Problem& problem) const override {
    if (!step.has(0)) return Refusal{"transposes one tensor"};
    if (std::string why = cuda::whyNotCopied(step.desc(0).dtype); !why.empty()) return Refusal{why};
    return plain(problem);
  }

  std::unique_ptr<Executable> makeExecutable(const Transpose& op, const StoredProblem& stored,
                                             const ConcreteShapes& shapes) const override {
    const std::vector<int64_t> strides = rowMajorStrides(shapes.inputs[0]);
    std::vector<int64_t> from;
    for (int64_t axis : op.perm) from.push_back(strides[static_cast<size_t>(axis)]);
    return one(StridedCopy(shapes.outputs[0], from, rowMajorStrides(shapes.outputs[0]),
                           bytesOf(stored.problem.inputs[0].dtype), stored.problem.device),
               0);
  }
};

class CudaExpand final : public OneStepKernel<Expand> {
 public:
  std::string_view name() const override { return "cuda/copy/expand"; }

 protected:
  Support supportsStep(const Expand&, const OneStep& step, const Problem& problem) const override {
    if (!step.has(0)) return Refusal{"expands one tensor"};
    if (std::string why = cuda::whyNotCopied(step.desc(0).dtype); !why.empty()) return Refusal{why};
    return plain(problem);
  }

  std::unique_ptr<Executable> makeExecutable(const Expand&, const StoredProblem& stored,
                                             const ConcreteShapes& shapes) const override {
    const std::vector<int64_t>& to = shapes.outputs[0];
    return one(StridedCopy(to, broadcastStrides(shapes.inputs[0], to), rowMajorStrides(to),
                           bytesOf(stored.problem.inputs[0].dtype), stored.problem.device),
               0);
  }
};

class CudaSlice final : public OneStepKernel<Slice> {
 public:
  std::string_view name() const override { return "cuda/copy/slice"; }

 protected:
  Support supportsStep(const Slice&, const OneStep& step, const Problem& problem) const override {
    if (!step.has(0) || !step.has(1)) return Refusal{"slices a tensor from starts"};
    if (std::string why = cuda::whyNotCopied(step.desc(0).dtype); !why.empty()) return Refusal{why};
    // On the device they would be read too late.
    if (!step.desc(1).contents && !step.desc(1).constant)
      return Refusal{"starts that are computed at run time"};
    return eitherLayout(problem, std::array{problem.region.steps[0].inputs[0]});
  }

  std::unique_ptr<Executable> makeExecutable(const Slice& op, const StoredProblem& stored,
                                             const ConcreteShapes& shapes) const override {
    const OneStep step(stored.problem);
    const std::vector<int64_t>&x = shapes.inputs[step.position(0)], &y = shapes.outputs[0];
    const std::vector<int64_t> starts = startsOf(step.desc(1), shapes);
    const int bytes = bytesOf(step.desc(0).dtype);
    const Layout layout = stored.configuration.outputs[0];
    std::vector<int64_t> strides = stridesIn(layout, x);
    int64_t offset = 0;
    for (size_t i = 0; i < op.axes.size(); ++i) {
      const auto axis = static_cast<size_t>(op.axes[i]);
      if (y[axis] == 0) continue;
      const int64_t first = sliceStart(starts.at(i), op.steps[i], x[axis]);
      const int64_t last = y[axis] == 1 ? first : first + (y[axis] - 1) * op.steps[i];
      if (first < 0 || first >= x[axis] || last < 0 || last >= x[axis])
        throwBadParameters("a slice that leaves its tensor");
      offset += first * strides[axis] * bytes;
      if (y[axis] > 1) strides[axis] *= op.steps[i];
    }
    return one(StridedCopy(y, strides, stridesIn(layout, y), bytes, stored.problem.device),
               step.position(0), offset);
  }

 private:
  static std::vector<int64_t> startsOf(const TensorDesc& desc, const ConcreteShapes& shapes) {
    if (!desc.contents) {
      if (!desc.constant || desc.constant->empty()) throwBadParameters("a slice without starts");
      return desc.constant->toInts();
    }
    std::vector<int64_t> starts;
    for (const Dim& start : *desc.contents)
      starts.push_back(start.evaluate([&](const std::string& symbol) {
        auto found = shapes.symbols.find(symbol);
        if (found == shapes.symbols.end()) throwBadParameters("a start of no known symbol");
        return found->second;
      }));
    return starts;
  }
};

class CudaConcat final : public OneStepKernel<Concat> {
 public:
  std::string_view name() const override { return "cuda/copy/concat"; }

 protected:
  Support supportsStep(const Concat&, const OneStep& step, const Problem& problem) const override {
    if (step.inputCount() == 0) return Refusal{"joins one or more tensors"};
    for (size_t i = 0; i < step.inputCount(); ++i) {
      if (!step.has(i)) return Refusal{"joins tensors that are all there"};
      if (std::string why = cuda::whyNotCopied(step.desc(i).dtype); !why.empty())
        return Refusal{why};
    }
    return eitherLayout(problem, problem.region.steps[0].inputs);
  }

  std::unique_ptr<Executable> makeExecutable(const Concat& op, const StoredProblem& stored,
                                             const ConcreteShapes& shapes) const override {
    const OneStep step(stored.problem);
    const int bytes = bytesOf(step.desc(0).dtype);
    const Layout layout = stored.configuration.outputs[0];
    const std::vector<int64_t> strides = stridesIn(layout, shapes.outputs[0]);
    const auto axis = static_cast<size_t>(op.axis);
    std::vector<Part> parts;
    int64_t start = 0;
    for (size_t i = 0; i < step.inputCount(); ++i) {
      const size_t input = step.position(i);
      const std::vector<int64_t>& dims = shapes.inputs[input];
      parts.push_back(
          {StridedCopy(dims, stridesIn(layout, dims), strides, bytes, stored.problem.device), input,
           0, start * strides[axis] * bytes});
      start += dims[axis];
    }
    return std::make_unique<CopyExecutable>(std::move(parts));
  }
};

}  // namespace

const Kernel& cudaReformat() {
  static const CudaReformat kernel;
  return kernel;
}
const Kernel& cudaTranspose() {
  static const CudaTranspose kernel;
  return kernel;
}
const Kernel& cudaExpand() {
  static const CudaExpand kernel;
  return kernel;
}
const Kernel& cudaSlice() {
  static const CudaSlice kernel;
  return kernel;
}
const Kernel& cudaConcat() {
  static const CudaConcat kernel;
  return kernel;
}

}  // namespace carnot
