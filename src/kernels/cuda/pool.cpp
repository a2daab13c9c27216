// Max and average pools, channels-last and plain.

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/error.h"
#include "codegen/cuda/scalar_source.h"
#include "devices/cuda/compile.h"
#include "kernels/cuda/elementwise.h"
#include "kernels/one_step.h"
#include "ops/average_pool.h"
#include "ops/max_pool.h"

namespace carnot {
namespace {

constexpr size_t kAxes = 3;  // spatial; missing ones, the first, have extent 1

// The structure that the code gets.
struct Arguments {
  const void* x = nullptr;
  void* y = nullptr;
  int64_t count = 0;             // of threads' packs
  int64_t chunks = 1;            // packs of a pixel
  int64_t image = 0, pixel = 1;  // elements from one to the next
  struct Axis {
    int64_t in = 1, out = 1, kernel = 1, stride = 1, dilation = 1, begin = 0, end = 0;
  } axes[kAxes];
  int64_t countPads = 0;
};

// kMax, kVector, Memory, Value, load and store come in front.
const char* const kSource = R"(
struct Axis { long long in, out, kernel, stride, dilation, begin, end; };
struct Arguments {
  const Memory* x;
  Memory* y;
  long long count, chunks, image, pixel;
  Axis axes[3];
  long long countPads;
};
struct alignas(sizeof(Memory) * kVector) Pack { Memory at[kVector]; };
struct Taps { int start, first, last, counted; };
__device__ inline Taps tapsAt(const Axis& axis, int at, bool pads) {
  Taps taps;
  const int step = (int)axis.dilation, in = (int)axis.in;
  taps.start = at * (int)axis.stride - (int)axis.begin;
  taps.first = taps.start < 0 ? (-taps.start + step - 1) / step : 0;
  const int room = in - 1 - taps.start, wide = room + (int)axis.end, kernel = (int)axis.kernel;
  taps.last = room < 0 ? 0 : min(kernel, room / step + 1);
  taps.first = min(taps.first, taps.last);
  taps.counted = pads ? (wide < 0 ? 0 : min(kernel, wide / step + 1)) : taps.last - taps.first;
  return taps;
}
extern "C" __global__ void __launch_bounds__(256) carnotPool(const __grid_constant__ Arguments a) {
  const Index step = (Index)gridDim.x * blockDim.x;
  for (Index i = blockIdx.x * (Index)blockDim.x + threadIdx.x; i < (Index)a.count; i += step) {
    Index rest = i / (Index)a.chunks;
    const Index chunk = i - rest * (Index)a.chunks;
    int at[3];
#pragma unroll
    for (int axis = 2; axis >= 0; --axis) {
      const Index left = rest / (Index)a.axes[axis].out;
      at[axis] = (int)(rest - left * (Index)a.axes[axis].out);
      rest = left;
    }
    const Memory* x = a.x + (long long)rest * a.image + chunk * kVector;
    const bool pads = a.countPads != 0;
    const Taps d = tapsAt(a.axes[0], at[0], pads), h = tapsAt(a.axes[1], at[1], pads),
               w = tapsAt(a.axes[2], at[2], pads);
    Value result[kVector];
    bool first = kMax;
    for (int v = 0; v < kVector; ++v) result[v] = kMax ? lowest() : Value(0);
    for (int k = d.first; k < d.last; ++k)
      for (int j = h.first; j < h.last; ++j)
        for (int l = w.first; l < w.last; ++l) {
          const int plane = (d.start + k * (int)a.axes[0].dilation) * (int)a.axes[1].in;
          const int line = (plane + h.start + j * (int)a.axes[1].dilation) * (int)a.axes[2].in;
          const long long place = line + w.start + l * (int)a.axes[2].dilation;
          const Pack pack = *(const Pack*)(x + place * a.pixel);
#pragma unroll
          for (int v = 0; v < kVector; ++v) {
            const Value value = load(pack.at[v]);
            if (kMax) result[v] = first || value > result[v] || value != value ? value : result[v];
            else result[v] += value;
          }
          first = false;
        }
    const int counted = d.counted * h.counted * w.counted;
    Pack out;
#pragma unroll
    for (int v = 0; v < kVector; ++v)
      out.at[v] = store(kMax ? result[v] : counted ? result[v] / (Value)counted : Value(0));
    *(Pack*)(a.y + (long long)i * kVector) = out;
  }
}
)";

// The type's lowest number.
std::string lowestOf(DType type) {
  switch (type) {
    case DType::F16:
      return "-65504.0f";
    case DType::BF16:
      return "-__int_as_float(0x7f7f0000)";
    case DType::F32:
      return "-__int_as_float(0x7f7fffff)";
    case DType::F64:
      return "-__longlong_as_double(0x7fefffffffffffffll)";
    default:
      return cuda::literal(
          type, isSigned(type) ? -1 - ((int64_t{1} << (dtypeBits(type) - 1)) - 1) : int64_t{0});
  }
}

std::string sourceOf(DType type, bool max, int vector, int64_t elements) {
  std::string text = cuda::kScalarPrelude + cuda::elementTypes(type);
  text += fmt::format("constexpr bool kMax = {};\nconstexpr int kVector = {};\n", max, vector);
  text += fmt::format("__device__ inline Value lowest() {{ return {}; }}\n", lowestOf(type));
  return text + cuda::indexType(elements) + kSource;
}

class PoolExecutable final : public Executable {
 public:
  PoolExecutable(const Arguments& arguments, const std::string& source, const DeviceTraits& device)
      : arguments_(arguments), module_(cuda::moduleOf(source)) {
    function_ = module_->function("carnotPool");
    shape_ = cuda::spread(arguments.count, device, 32);
  }

  void run(const RunArguments& run) const override {
    if (shape_.blocks == 0) return;
    Arguments arguments = arguments_;
    arguments.x = run.inputs[0];
    arguments.y = run.outputs[0];
    cuda::launch(function_, shape_, &arguments, *run.stream);
  }

 private:
  Arguments arguments_;
  std::shared_ptr<const cuda::Module> module_;
  CUfunction function_ = nullptr;
  cuda::LaunchShape shape_;
};

template <typename Op>
class CudaPool final : public OneStepKernel<Op> {
 public:
  static constexpr bool kMax = std::is_same_v<Op, MaxPool>;
  std::string_view name() const override { return kMax ? "cuda/pool/max" : "cuda/pool/average"; }

 protected:
  Support supportsStep(const Op& op, const OneStep& step, const Problem& problem) const override {
    if (!step.has(0)) return Refusal{"pools one tensor"};
    const DType type = step.desc(0).dtype;
    if (!isFloat(type) && !(kMax && dtypeBits(type) >= 8 && type != DType::Bool))
      return Refusal{fmt::format("does not pool {}", dtypeName(type))};
    if (isFloat(type) && dtypeBits(type) < 16)
      return Refusal{fmt::format("does not pool {}", dtypeName(type))};
    if (op.kernel.empty() || op.kernel.size() > kAxes)
      return Refusal{fmt::format("pools over one to {} axes", kAxes)};
    for (size_t i = 0; i < op.kernel.size(); ++i)
      if (op.kernel[i] <= 0 || op.strides[i] <= 0 || op.dilations[i] <= 0 || op.pads[i] < 0 ||
          op.pads[op.kernel.size() + i] < 0)
        return Refusal{"a window that is not positive"};
    std::vector<Configuration> all{
        {{}, plainLayouts(problem.inputs.size()), plainLayouts(problem.outputs.size())}};
    all.push_back({{}, {Layout::channelsLast()}, {Layout::channelsLast()}});
    return all;
  }

  std::unique_ptr<Executable> makeExecutable(const Op& op, const StoredProblem& stored,
                                             const ConcreteShapes& shapes) const override {
    const std::vector<int64_t>&x = shapes.inputs[0], &y = shapes.outputs[0];
    const bool last = !stored.configuration.inputs[0].isPlain();
    const DType type = stored.problem.inputs[0].dtype;
    const int pack = std::min(16 / (dtypeBits(type) / 8), 8);
    const int vector = last && x[1] % pack == 0 ? pack : 1;
    Arguments a;
    const size_t axes = op.kernel.size();
    int64_t pixels = 1, outPixels = 1;
    for (size_t i = 0; i < axes; ++i) {
      a.axes[kAxes - axes + i] = {x[2 + i],        y[2 + i],   op.kernel[i],     op.strides[i],
                                  op.dilations[i], op.pads[i], op.pads[axes + i]};
      pixels *= x[2 + i];
      outPixels *= y[2 + i];
    }
    if (pixels >= (int64_t{1} << 31) || outPixels >= (int64_t{1} << 31))
      throw Error(ErrorCode::Unsupported, "a pool over more than 2^31 pixels");
    a.chunks = last ? x[1] / vector : 1;
    a.image = last ? pixels * x[1] : pixels;
    a.pixel = last ? x[1] : 1;
    a.count = elementCount(y) / vector;
    if constexpr (!kMax) a.countPads = op.countIncludePad;
    return std::make_unique<PoolExecutable>(a, sourceOf(type, kMax, vector, a.count),
                                            stored.problem.device);
  }
};

}  // namespace

const Kernel& cudaMaxPool() {
  static const CudaPool<MaxPool> kernel;
  return kernel;
}
const Kernel& cudaAveragePool() {
  static const CudaPool<AveragePool> kernel;
  return kernel;
}

}  // namespace carnot
