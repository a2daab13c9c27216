// Resize of the spatial axes by tables of taps, channels-last and plain.

#include <fmt/format.h>

#include <algorithm>
#include <bit>

#include "base/error.h"
#include "codegen/cuda/scalar_source.h"
#include "devices/cuda/compile.h"
#include "devices/cuda/cuda_device.h"
#include "kernels/cuda/elementwise.h"
#include "kernels/one_step.h"
#include "ops/resize.h"

namespace carnot {
namespace {

constexpr size_t kAxes = 3;  // spatial; missing ones, the first, have extent 1

// The structure that the code gets. Tables hold elements and weights of every output's taps.
struct Arguments {
  const void* x = nullptr;
  void* y = nullptr;
  int64_t count = 0, chunks = 1, image = 0, pixel = 1;  // as the pools'
  struct Axis {
    int64_t in = 1, out = 1, taps = 1;
    const void* elements = nullptr;
    const void* weights = nullptr;
  } axes[kAxes];
};

const char* const kSource = R"(
struct Axis { long long in, out, taps; const int* elements; const float* weights; };
struct Arguments {
  const Memory* x;
  Memory* y;
  long long count, chunks, image, pixel;
  Axis axes[3];
};
struct alignas(sizeof(Memory) * kVector) Pack { Memory at[kVector]; };
extern "C" __global__ void __launch_bounds__(256) carnotResize(const __grid_constant__ Arguments a) {
  const Index step = (Index)gridDim.x * blockDim.x;
  for (Index i = blockIdx.x * (Index)blockDim.x + threadIdx.x; i < (Index)a.count; i += step) {
    Index rest = i / (Index)a.chunks;
    const Index chunk = i - rest * (Index)a.chunks;
    int first[3];
#pragma unroll
    for (int axis = 2; axis >= 0; --axis) {
      const Index left = rest / (Index)a.axes[axis].out;
      first[axis] = (int)(rest - left * (Index)a.axes[axis].out) * (int)a.axes[axis].taps;
      rest = left;
    }
    const Memory* x = a.x + (long long)rest * a.image + chunk * kVector;
    Pack out;
    if (kCopies) {
      const long long line = (long long)a.axes[0].elements[first[0]] * a.axes[1].in +
                             a.axes[1].elements[first[1]];
      out = *(const Pack*)(x + (line * a.axes[2].in + a.axes[2].elements[first[2]]) * a.pixel);
    } else {
      Value sums[kVector];
      for (int v = 0; v < kVector; ++v) sums[v] = 0;
      for (int k = 0; k < (int)a.axes[0].taps; ++k)
        for (int j = 0; j < (int)a.axes[1].taps; ++j) {
          const long long line = (long long)a.axes[0].elements[first[0] + k] * a.axes[1].in +
                                 a.axes[1].elements[first[1] + j];
          const float weight = a.axes[0].weights[first[0] + k] * a.axes[1].weights[first[1] + j];
          for (int l = 0; l < (int)a.axes[2].taps; ++l) {
            const Pack pack =
                *(const Pack*)(x + (line * a.axes[2].in + a.axes[2].elements[first[2] + l]) * a.pixel);
            const float factor = weight * a.axes[2].weights[first[2] + l];
#pragma unroll
            for (int v = 0; v < kVector; ++v) sums[v] += (Value)factor * load(pack.at[v]);
          }
        }
#pragma unroll
      for (int v = 0; v < kVector; ++v) out.at[v] = store(sums[v]);
    }
    *(Pack*)(a.y + (long long)i * kVector) = out;
  }
}
)";

std::string sourceOf(DType type, bool copies, int vector, int64_t elements) {
  std::string text = cuda::kScalarPrelude + cuda::elementTypes(type);
  text +=
      fmt::format("constexpr bool kCopies = {};\nconstexpr int kVector = {};\n", copies, vector);
  return text + cuda::indexType(elements) + kSource;
}

class ResizeExecutable final : public Executable {
 public:
  ResizeExecutable(const Arguments& arguments, std::span<const ResizeAxis> tables, size_t input,
                   const std::string& source, const DeviceTraits& device)
      : arguments_(arguments), input_(input), module_(cuda::moduleOf(source)) {
    function_ = module_->function("carnotResize");
    shape_ = cuda::spread(arguments.count, device, 32);
    if (shape_.blocks == 0) return;
    std::vector<int32_t> words;
    for (const ResizeAxis& table : tables) {
      for (int64_t element : table.elements) words.push_back(static_cast<int32_t>(element));
      for (double weight : table.weights) {
        const auto narrow = static_cast<float>(weight);
        words.push_back(std::bit_cast<int32_t>(narrow));
      }
    }
    const auto opened = cuda::openCuda(device);
    tables_ = opened->allocate(words.size() * sizeof(int32_t));
    const auto stream = opened->createStream();
    opened->copyToDevice(tables_->data(), words.data(), words.size() * sizeof(int32_t), *stream);
    stream->synchronize();
    const auto* at = static_cast<const int32_t*>(tables_->data());
    for (size_t i = 0; i < tables.size(); ++i) {
      Arguments::Axis& axis = arguments_.axes[kAxes - tables.size() + i];
      axis.elements = at;
      at += tables[i].elements.size();
      axis.weights = at;
      at += tables[i].weights.size();
    }
  }

  void run(const RunArguments& run) const override {
    if (shape_.blocks == 0) return;
    Arguments arguments = arguments_;
    arguments.x = run.inputs[input_];
    arguments.y = run.outputs[0];
    cuda::launch(function_, shape_, &arguments, *run.stream);
  }

 private:
  Arguments arguments_;
  size_t input_;
  std::shared_ptr<const cuda::Module> module_;
  std::shared_ptr<Buffer> tables_;
  CUfunction function_ = nullptr;
  cuda::LaunchShape shape_;
};

class CudaResize final : public OneStepKernel<Resize> {
 public:
  std::string_view name() const override { return "cuda/resize"; }

 protected:
  Support supportsStep(const Resize& op, const OneStep& step,
                       const Problem& problem) const override {
    if (!step.has(0)) return Refusal{"resizes one tensor"};
    const TensorDesc& x = step.desc(0);
    const bool copies = op.mode == ResizeMode::Nearest;
    if (dtypeBits(x.dtype) < 8 || dtypeBits(x.dtype) > 64 || isComplex(x.dtype) ||
        (isFloat(x.dtype) ? dtypeBits(x.dtype) < 16 : !copies))
      return Refusal{fmt::format("does not resize {}", dtypeName(x.dtype))};
    if (op.coordinates == ResizeCoordinates::TfCropAndResize)
      return Refusal{"reads no region of interest"};
    const size_t rank = x.shape.rank();
    if (rank < 3 || rank > 2 + kAxes) return Refusal{"resizes images, lines and volumes"};
    const Shape& y = problem.outputs[0].shape;
    for (size_t axis = 0; axis < 2; ++axis)
      if (y[axis] != x.shape[axis] || (!op.scales.empty() && op.scales[axis] != 1))
        return Refusal{"resizes spatial axes alone"};
    std::vector<Configuration> all{
        {{}, plainLayouts(problem.inputs.size()), plainLayouts(problem.outputs.size())}};
    Configuration last = all[0];
    last.inputs[static_cast<size_t>(problem.region.steps[0].inputs[0])] = Layout::channelsLast();
    last.outputs[0] = Layout::channelsLast();
    all.push_back(std::move(last));
    return all;
  }

  std::unique_ptr<Executable> makeExecutable(const Resize& op, const StoredProblem& stored,
                                             const ConcreteShapes& shapes) const override {
    const OneStep step(stored.problem);
    const size_t input = step.position(0);
    const std::vector<int64_t>&x = shapes.inputs[input], &y = shapes.outputs[0];
    const bool last = !stored.configuration.outputs[0].isPlain();
    const DType type = step.desc(0).dtype;
    const int pack = std::min(128 / dtypeBits(type), 8);
    const int vector = last && x[1] % pack == 0 ? pack : 1;
    const bool empty = elementCount(x) == 0 || elementCount(y) == 0;
    Arguments a;
    std::vector<ResizeAxis> tables;
    int64_t pixels = 1;
    for (size_t axis = 0; axis < kAxes; ++axis) {
      const size_t from = axis + x.size() - kAxes;  // of the tensor; below 2: none
      if (x.size() + axis < kAxes + 2) {
        tables.push_back({.taps = 1, .elements = {0}, .weights = {1}, .outside = {false}});
        continue;
      }
      if (x[from] >= (int64_t{1} << 31) || empty) {
        if (!empty) throw Error(ErrorCode::Unsupported, "an axis of 2^31 elements to resize");
        continue;
      }
      tables.push_back(resizeAxis(op, from, x[from], y[from]));
      a.axes[axis].in = x[from];
      a.axes[axis].out = y[from];
      a.axes[axis].taps = tables.back().taps;
      pixels *= x[from];
    }
    const bool copies = op.mode == ResizeMode::Nearest;
    a.chunks = last ? x[1] / vector : 1;
    a.image = last ? pixels * x[1] : pixels;
    a.pixel = last ? x[1] : 1;
    a.count = empty ? 0 : elementCount(y) / vector;
    return std::make_unique<ResizeExecutable>(
        a, tables, input, sourceOf(type, copies, vector, a.count), stored.problem.device);
  }
};

}  // namespace

const Kernel& cudaResize() {
  static const CudaResize kernel;
  return kernel;
}

}  // namespace carnot
