// Pad in every mode: each element of the result finds its own.

#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"
#include "codegen/cuda/overlap.h"
#include "devices/cuda/compile.h"
#include "kernels/cuda/elementwise.h"
#include "kernels/cuda/strided_copy.h"
#include "kernels/pads.h"
#include "ops/elements.h"
#include "ops/pad.h"

namespace carnot {
namespace {

constexpr size_t kMaxRank = 8;

struct PadArguments {
  const void* from = nullptr;
  const void* value = nullptr;  // null: 0
  void* to = nullptr;
  int64_t count = 0;
  // By axis: of the result; what pads leave of the input, how far behind the result's start it
  // starts, and its stride in elements.
  int64_t extents[kMaxRank] = {}, visible[kMaxRank] = {}, begins[kMaxRank] = {};
  int64_t strides[kMaxRank] = {};
};

const char* const kBody = R"(
struct Arguments {
  const Element* from;
  const Element* value;
  Element* to;
  long long count, extents[8], visible[8], begins[8], strides[8];
};
extern "C" __global__ void __launch_bounds__(256)
carnotPad(const __grid_constant__ Arguments a) {
  waitForInputs();
  const long long step = (long long)gridDim.x * blockDim.x;
  for (long long i = blockIdx.x * (long long)blockDim.x + threadIdx.x; i < a.count; i += step) {
    long long rest = i, from = 0;
    bool inside = true;
#pragma unroll
    for (int axis = kRank - 1; axis >= 0; --axis) {
      const long long left = axis ? rest / a.extents[axis] : 0;
      long long at = rest - left * a.extents[axis] - a.begins[axis];
      rest = left;
      const long long n = a.visible[axis];
      if (at < 0 || at >= n) {
        if (kMode == 0) {
          inside = false;
        } else if (kMode == 1) {
          const long long period = n > 1 ? 2 * (n - 1) : 1;
          at = (at % period + period) % period;
          at = n == 1 ? 0 : at < n ? at : period - at;
        } else if (kMode == 2) {
          at = at < 0 ? 0 : n - 1;
        } else {
          at = (at % n + n) % n;
        }
      }
      from += at * a.strides[axis];
    }
    a.to[i] = inside ? a.from[from] : a.value ? *a.value : Element{};
  }
}
)";

class PadExecutable final : public Executable {
 public:
  PadExecutable(PadMode mode, std::span<const int64_t> x, std::span<const int64_t> y,
                std::span<const int64_t> pads, int elementBytes, size_t input, int value,
                const DeviceTraits& device)
      : input_(input), value_(value) {
    arguments_.count = elementCount(y);
    if (arguments_.count == 0) return;
    const std::vector<int64_t> strides = rowMajorStrides(x);
    const size_t rank = x.size();
    for (size_t axis = 0; axis < rank; ++axis) {
      const int64_t begin = pads[axis], end = pads[rank + axis];
      const int64_t cropped = std::max<int64_t>(0, -begin);
      const int64_t visible = x[axis] - cropped - std::max<int64_t>(0, -end);
      if (x[axis] + begin + end != y[axis]) throwBadParameters("pads that give other dims");
      if (visible <= 0 && mode != PadMode::Constant)
        throw Error(ErrorCode::InvalidArgument, "padding from an axis without elements",
                    "at least one element, or constant padding");
      arguments_.extents[axis] = y[axis];
      arguments_.visible[axis] = std::max<int64_t>(0, visible);
      arguments_.begins[axis] = std::max<int64_t>(0, begin);
      arguments_.strides[axis] = strides[axis];
      offset_ += cropped * strides[axis] * elementBytes;
    }
    module_ =
        cuda::moduleOf(fmt::format("typedef {} Element;\nconstexpr int kRank = {}, kMode = {};\n",
                                   cuda::unitType(elementBytes), rank, static_cast<int>(mode)) +
                       cuda::kOverlapPrelude + kBody);
    function_ = module_->function("carnotPad");
    shape_ = cuda::spread(arguments_.count, device, 16);
    shape_.overlapped = true;
  }

  void run(const RunArguments& arguments) const override {
    if (!function_) return;
    PadArguments all = arguments_;
    all.from = static_cast<const char*>(arguments.inputs[input_]) + offset_;
    if (value_ >= 0) all.value = arguments.inputs[value_];
    all.to = arguments.outputs[0];
    cuda::launch(function_, shape_, &all, *arguments.stream);
  }

 private:
  size_t input_;
  int value_;  // among the inputs of a run; -1: none
  int64_t offset_ = 0;
  PadArguments arguments_;
  std::shared_ptr<const cuda::Module> module_;
  CUfunction function_ = nullptr;
  cuda::LaunchShape shape_;
};

class CudaPad final : public OneStepKernel<Pad> {
 public:
  std::string_view name() const override { return "cuda/copy/pad"; }

 protected:
  Support supportsStep(const Pad&, const OneStep& step, const Problem& problem) const override {
    if (!step.has(0) || !step.has(1)) return Refusal{"pads a tensor"};
    const TensorDesc& x = step.desc(0);
    if (std::string why = cuda::whyNotCopied(x.dtype); !why.empty()) return Refusal{why};
    if (x.shape.rank() > kMaxRank) return Refusal{fmt::format("pads at most {} axes", kMaxRank)};
    if (!step.desc(1).constant && !step.desc(1).contents)
      return Refusal{"the pads do not follow from the shapes"};
    return std::vector<Configuration>{
        {{}, plainLayouts(problem.inputs.size()), plainLayouts(problem.outputs.size())}};
  }

  std::unique_ptr<Executable> makeExecutable(const Pad& op, const StoredProblem& stored,
                                             const ConcreteShapes& shapes) const override {
    const Problem problem = stored.problem.substitute(shapes.symbols);
    const OneStep step(problem);
    const std::vector<int64_t>& x = shapes.inputs[step.position(0)];
    const std::vector<int64_t> pads = padsOf(step, x.size());
    return std::make_unique<PadExecutable>(
        op.mode, x, shapes.outputs[0], pads, dtypeBits(step.desc(0).dtype) / 8, step.position(0),
        step.has(2) ? static_cast<int>(step.position(2)) : -1, problem.device);
  }
};

}  // namespace

const Kernel& cudaPad() {
  static const CudaPad kernel;
  return kernel;
}

}  // namespace carnot
