// Gather: runs of elements by index.

#include <fmt/format.h>

#include "base/error.h"
#include "codegen/cuda/overlap.h"
#include "devices/cuda/compile.h"
#include "kernels/cuda/elementwise.h"
#include "kernels/cuda/strided_copy.h"
#include "kernels/one_step.h"
#include "ops/elements.h"
#include "ops/gather.h"

namespace carnot {
namespace {

struct GatherArguments {
  const void* from = nullptr;
  const void* indices = nullptr;
  void* to = nullptr;
  int64_t outer = 0, extent = 0, count = 0, inner = 0;  // inner in units
};

// A negative index counts from the end; what is outside even so reads the nearest run, as memory
// behind it is not the tensor's.
const char* const kBody = R"(
struct Arguments {
  const Unit* from;
  const Number* indices;
  Unit* to;
  long long outer, extent, count, inner;
};
extern "C" __global__ void __launch_bounds__(256)
carnotGather(const __grid_constant__ Arguments a) {
  waitForInputs();
  const Index all = (Index)(a.outer * a.count * a.inner), step = (Index)gridDim.x * blockDim.x;
  for (Index i = blockIdx.x * (Index)blockDim.x + threadIdx.x; i < all; i += step) {
    const Index run = i / (Index)a.inner, within = i - run * (Index)a.inner;
    const Index outer = run / (Index)a.count, at = run - outer * (Index)a.count;
    long long index = a.indices[at];
    if (index < 0) index += a.extent;
    index = index < 0 ? 0 : index >= a.extent ? a.extent - 1 : index;
    a.to[i] = a.from[((long long)outer * a.extent + index) * a.inner + within];
  }
}
)";

class GatherExecutable final : public Executable {
 public:
  GatherExecutable(const AxisSplit& split, int64_t count, int elementBytes, DType indexType,
                   std::array<size_t, 2> positions, const DeviceTraits& device)
      : positions_(positions) {
    arguments_ = {nullptr, nullptr, nullptr, split.outer, split.extent, count, split.inner};
    if (split.outer * count * split.inner == 0) return;
    if (split.extent == 0) throwBadParameters("a gather from nothing");
    auto code = [&](int bytes) {
      Code made;
      made.bytes = bytes;
      made.inner = split.inner * elementBytes / bytes;
      const int64_t units = split.outer * count * made.inner;
      made.module = cuda::moduleOf(fmt::format("typedef {} Unit;\ntypedef {} Number;\n",
                                               cuda::unitType(bytes),
                                               indexType == DType::I64 ? "long long" : "int") +
                                   cuda::indexType(units) + cuda::kOverlapPrelude + kBody);
      made.function = made.module->function("carnotGather");
      made.shape = cuda::spread(units, device, 16);
      made.shape.overlapped = true;
      return made;
    };
    any_ = code(elementBytes);
    int wide = 16;
    while (wide > elementBytes && split.inner * elementBytes % wide != 0) wide /= 2;
    if (wide > elementBytes) wide_ = code(wide);
  }

  void run(const RunArguments& arguments) const override {
    if (!any_.function) return;
    GatherArguments all = arguments_;
    all.from = arguments.inputs[positions_[0]];
    all.indices = arguments.inputs[positions_[1]];
    all.to = arguments.outputs[0];
    const uintptr_t addresses =
        reinterpret_cast<uintptr_t>(all.from) | reinterpret_cast<uintptr_t>(all.to);
    const bool wide = wide_.function && addresses % static_cast<uintptr_t>(wide_.bytes) == 0;
    const Code& code = wide ? wide_ : any_;
    all.inner = code.inner;
    cuda::launch(code.function, code.shape, &all, *arguments.stream);
  }

 private:
  struct Code {
    std::shared_ptr<const cuda::Module> module;
    CUfunction function = nullptr;
    cuda::LaunchShape shape;
    int bytes = 1;  // of a unit
    int64_t inner = 0;
  };
  std::array<size_t, 2> positions_;
  GatherArguments arguments_;
  Code any_, wide_;
};

class CudaGather final : public OneStepKernel<Gather> {
 public:
  std::string_view name() const override { return "cuda/copy/gather"; }

 protected:
  Support supportsStep(const Gather&, const OneStep& step, const Problem& problem) const override {
    if (!step.has(0) || !step.has(1)) return Refusal{"gathers from a tensor by indices"};
    if (std::string why = cuda::whyNotCopied(step.desc(0).dtype); !why.empty()) return Refusal{why};
    return std::vector<Configuration>{
        {{}, plainLayouts(problem.inputs.size()), plainLayouts(problem.outputs.size())}};
  }

  std::unique_ptr<Executable> makeExecutable(const Gather& op, const StoredProblem& stored,
                                             const ConcreteShapes& shapes) const override {
    const OneStep step(stored.problem);
    const std::array<size_t, 2> positions{step.position(0), step.position(1)};
    return std::make_unique<GatherExecutable>(
        splitAt(shapes.inputs[positions[0]], static_cast<size_t>(op.axis)),
        elementCount(shapes.inputs[positions[1]]), dtypeBits(step.desc(0).dtype) / 8,
        step.desc(1).dtype, positions, stored.problem.device);
  }
};

}  // namespace

const Kernel& cudaGather() {
  static const CudaGather kernel;
  return kernel;
}

}  // namespace carnot
