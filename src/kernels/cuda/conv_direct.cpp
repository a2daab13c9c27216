// Convolutions that multiply and add one by one: those by channel with neighbours side by side,
// channels-last, and any other, also transposed, an element a thread.

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "base/error.h"
#include "codegen/cuda/scalar_source.h"
#include "devices/cuda/compile.h"
#include "kernels/anchored_conv.h"
#include "kernels/cuda/launch.h"
#include "kernels/parameters.h"
#include "ops/elements.h"

namespace carnot {
namespace {

constexpr int64_t kThreads = 256;
constexpr size_t kAxes = 3;  // spatial; missing ones, the first, have extent 1
constexpr size_t kMaxOperands = 8;
constexpr int64_t kMostTaps = 64;  // of a window whose loops are unrolled

std::variant<Refusal, AnchoredConv> analyze(const Problem& problem) {
  auto anchored = anchoredConv(problem);
  const AnchoredConv* conv = std::get_if<AnchoredConv>(&anchored);
  if (!conv) return anchored;
  if (conv->dtype != DType::F32 && conv->dtype != DType::F16 && conv->dtype != DType::BF16 &&
      conv->dtype != DType::F64)
    return Refusal{fmt::format("convolves no {}", dtypeName(conv->dtype))};
  if (conv->strides.empty() || conv->strides.size() > kAxes)
    return Refusal{fmt::format("convolves over one to {} axes", kAxes)};
  if (auto why = cuda::refuseScalars(conv->tail)) return Refusal{*why};
  if (conv->operands.size() > kMaxOperands) return Refusal{"the steps behind read too much"};
  return anchored;
}

bool followsLayout(const TensorDesc& desc, size_t rank) {
  return !desc.constant && desc.shape.rank() == rank;
}

Configuration configurationOf(const Problem& problem, const AnchoredConv& conv, Layout layout) {
  Configuration out{{}, plainLayouts(problem.inputs.size()), plainLayouts(problem.outputs.size())};
  const size_t rank = conv.rank();
  auto set = [&](int input) {
    if (followsLayout(problem.inputs[static_cast<size_t>(input)], rank))
      out.inputs[static_cast<size_t>(input)] = layout;
  };
  set(conv.x);
  for (int operand : conv.operands)
    if (operand != conv.w) set(operand);
  out.outputs[0] = layout;
  return out;
}

// Strides in elements over [N, C, then three spatial axes] of a tensor that broadcasts to a result
// of `rank`.
std::array<int64_t, 5> stridesOver(Layout layout, const std::vector<int64_t>& dims, size_t rank) {
  std::vector<int64_t> strides =
      rowMajorStrides(layout.isPlain() ? dims : physicalDims(layout, dims));
  if (!layout.isPlain()) std::rotate(strides.begin() + 1, strides.end() - 1, strides.end());
  std::array<int64_t, 5> out{};
  for (size_t i = 0; i < dims.size(); ++i) {
    const size_t axis = rank - dims.size() + i;
    out[axis < 2 ? axis : axis + (5 - rank)] = dims[i] == 1 ? 0 : strides[i];
  }
  return out;
}

// The structure that the code gets; strides of operands in bytes, others in elements.
struct Arguments {
  const void* x = nullptr;
  const void* w = nullptr;
  const void* bias = nullptr;
  void* y = nullptr;
  int64_t count = 0;
  int64_t images = 0, channels = 0, groupInputs = 0, groupOutputs = 0;
  std::array<int64_t, kAxes> in{1, 1, 1}, out{1, 1, 1}, kernel{1, 1, 1}, stride{1, 1, 1},
      dilation{1, 1, 1}, begin{};
  std::array<int64_t, 5> xStrides{}, yStrides{};
  std::array<const void*, kMaxOperands> operands{};
  std::array<std::array<int64_t, 5>, kMaxOperands> operandStrides{};
};

const char* const kArguments = R"(
struct Arguments {
  const Memory* x;
  const Memory* w;
  const Bias* bias;
  Result* y;
  long long count, images, channels, groupInputs, groupOutputs;
  long long in[3], out[3], kernel[3], stride[3], dilation[3], begin[3];
  long long xStrides[5], yStrides[5];
  const char* operands[8];
  long long operandStrides[8][5];
};
)";

// One element of the result a thread, in the order of its memory.
const char* const kAnyWindow = R"(
extern "C" __global__ void __launch_bounds__(256) carnotConv(const __grid_constant__ Arguments a) {
  const long long step = (long long)gridDim.x * blockDim.x;
  for (long long i = blockIdx.x * (long long)blockDim.x + threadIdx.x; i < a.count; i += step) {
    long long rest = i, m = 0;
    if (kLast) { m = rest % a.channels; rest /= a.channels; }
    long long at[3];
    for (int axis = 2; axis >= 0; --axis) { at[axis] = rest % a.out[axis]; rest /= a.out[axis]; }
    if (!kLast) { m = rest % a.channels; rest /= a.channels; }
    const long long n = rest, group = m / a.groupOutputs, taps = a.kernel[0] * a.kernel[1] * a.kernel[2];
    Sum sum = kBias ? (Sum)loadBias(a.bias[m]) : Sum(0);
    const Memory* x = a.x + n * a.xStrides[0] + group * a.groupInputs * a.xStrides[1];
    const Memory* w = kTransposed
        ? a.w + (group * a.groupInputs * a.groupOutputs + m - group * a.groupOutputs) * taps
        : a.w + m * a.groupInputs * taps;
    const long long nextInput = kTransposed ? a.groupOutputs * taps : taps;
    long long tap = 0;
    for (long long k = 0; k < a.kernel[0]; ++k)
      for (long long j = 0; j < a.kernel[1]; ++j)
        for (long long l = 0; l < a.kernel[2]; ++l, ++tap) {
          const long long index[3] = {k, j, l};
          long long place = 0;
          bool inside = true;
          for (int axis = 0; axis < 3; ++axis) {
            long long p;
            if (kTransposed) {
              p = at[axis] + a.begin[axis] - index[axis] * a.dilation[axis];
              inside &= p % a.stride[axis] == 0;
              p /= a.stride[axis];
            } else {
              p = at[axis] * a.stride[axis] - a.begin[axis] + index[axis] * a.dilation[axis];
            }
            inside &= p >= 0 && p < a.in[axis];
            place += p * a.xStrides[2 + axis];
          }
          if (!inside) continue;
          for (long long c = 0; c < a.groupInputs; ++c)
            sum += (Sum)load(x[place + c * a.xStrides[1]]) * (Sum)load(w[c * nextInput + tap]);
        }
    a.y[i] = finish(a, sum, n, m, at[0], at[1], at[2]);
  }
}
)";

// By channel, channels-last: neighbours of one line and kVector channels a thread, the line's part
// that their windows span in registers. Weights lie as [taps, channels].
const char* const kByChannel = R"(
template <typename T>
struct alignas(sizeof(T) * kVector < 16 ? sizeof(T) * kVector : 16) PackOf { T at[kVector]; };
typedef PackOf<Memory> Pack;
typedef PackOf<Result> ResultPack;
extern "C" __global__ void __launch_bounds__(256) carnotConv(const __grid_constant__ Arguments a) {
  const unsigned chunks = (unsigned)(a.channels / kVector);
  const unsigned runs = ((unsigned)a.out[2] + kPixels - 1) / kPixels;
  const long long step = (long long)gridDim.x * blockDim.x;
  for (long long i = blockIdx.x * (long long)blockDim.x + threadIdx.x; i < a.count; i += step) {
    const unsigned place = i < 1ll << 32 ? (unsigned)i / chunks : (unsigned)(i / chunks);
    const unsigned chunk = (unsigned)(i - (long long)place * chunks);
    const unsigned line = place / runs, first = (place - line * runs) * kPixels;
    const unsigned n = line / (unsigned)a.out[1], y = line - n * (unsigned)a.out[1];
    const int width = (int)a.in[2], height = (int)a.in[1];
    const Memory* x = a.x + n * a.xStrides[0] + chunk * kVector;
    const Memory* w = a.w + chunk * kVector;
    const int left = (int)first * kStrideX - kBeginX, top = (int)y * kStrideY - kBeginY;
    Sum sums[kPixels][kVector];
#pragma unroll
    for (int v = 0; v < kVector; ++v) {
      const Sum bias = kBias ? (Sum)loadBias(a.bias[chunk * kVector + v]) : Sum(0);
#pragma unroll
      for (int p = 0; p < kPixels; ++p) sums[p][v] = bias;
    }
#pragma unroll
    for (int j = 0; j < kKernelY; ++j) {
      const int inY = top + j * kDilationY;
      if (inY < 0 || inY >= height) continue;
      constexpr int kSpan = (kPixels - 1) * kStrideX + (kKernelX - 1) * kDilationX + 1;
      Pack span[kSpan];
#pragma unroll
      for (int s = 0; s < kSpan; ++s) {
        const int inX = left + s;
        if (inX >= 0 && inX < width) {
          span[s] = *(const Pack*)(x + inY * a.xStrides[3] + inX * a.xStrides[4]);
        } else {
#pragma unroll
          for (int v = 0; v < kVector; ++v) span[s].at[v] = 0;
        }
      }
#pragma unroll
      for (int l = 0; l < kKernelX; ++l) {
        const Pack weights = *(const Pack*)(w + (j * kKernelX + l) * a.channels);
#pragma unroll
        for (int p = 0; p < kPixels; ++p)
#pragma unroll
          for (int v = 0; v < kVector; ++v)
            sums[p][v] += (Sum)load(span[p * kStrideX + l * kDilationX].at[v]) *
                          (Sum)load(weights.at[v]);
      }
    }
#pragma unroll
    for (int p = 0; p < kPixels; ++p) {
      if (first + p >= (unsigned)a.out[2]) break;
      ResultPack out;
#pragma unroll
      for (int v = 0; v < kVector; ++v)
        out.at[v] = finish(a, sums[p][v], n, chunk * kVector + v, 0, y, first + p);
      *(ResultPack*)(a.y + n * a.yStrides[0] + y * a.yStrides[3] + (first + p) * a.yStrides[4] +
               chunk * kVector) = out;
    }
  }
}
)";

std::string commonSource(const Problem& problem, const AnchoredConv& conv, DType result) {
  const bool wide = conv.dtype == DType::F64;
  const DType bias =
      conv.bias < 0 ? conv.dtype : problem.inputs[static_cast<size_t>(conv.bias)].dtype;
  std::string text = cuda::kScalarPrelude;
  text += fmt::format("typedef {} Sum;\ntypedef {} Memory;\ntypedef {} Bias;\ntypedef {} Result;\n",
                      wide ? "double" : "float", cuda::memoryType(conv.dtype),
                      cuda::memoryType(bias), cuda::memoryType(result));
  text += fmt::format("constexpr bool kTransposed = {}, kBias = {};\n", conv.transposed,
                      conv.bias >= 0);
  text += fmt::format("__device__ inline {} load(Memory bits) {{ return {}; }}\n",
                      cuda::valueType(conv.dtype), cuda::loaded(conv.dtype, "bits"));
  text += fmt::format("__device__ inline {} loadBias(Bias bits) {{ return {}; }}\n",
                      cuda::valueType(bias), cuda::loaded(bias, "bits"));
  text += kArguments;
  text +=
      "__device__ inline Result finish(const Arguments& a, Sum sum, long long n, long long c,\n"
      "                                long long d, long long h, long long w) {\n";
  std::string value = "sum";
  if (!conv.tail.outputs.empty()) {
    for (size_t k = 0; k < conv.operands.size(); ++k)
      text += fmt::format(
          "  const char* p{0} = a.operands[{0}] + n * a.operandStrides[{0}][0] + c * "
          "a.operandStrides[{0}][1] + d * a.operandStrides[{0}][2] + h * a.operandStrides[{0}][3] "
          "+ w * a.operandStrides[{0}][4];\n",
          k);
    text += cuda::scalarStatements(
        conv.tail, "e",
        [&](const ScalarNode& node) -> std::string {
          if (node.index == 0) return "sum";
          const DType type =
              problem.inputs[static_cast<size_t>(conv.operands[node.index - 1U])].dtype;
          return cuda::loaded(
              type, fmt::format("*(const {}*)p{}", cuda::memoryType(type), node.index - 1));
        },
        "  ");
    value = fmt::format("e{}", conv.tail.outputs[0]);
  }
  return text + fmt::format("  return {};\n}}\n", cuda::stored(result, value));
}

class DirectExecutable final : public Executable {
 public:
  DirectExecutable(const Arguments& arguments, const std::string& source, int64_t blocks)
      : arguments_(arguments), blocks_(blocks), module_(cuda::moduleOf(source)) {
    function_ = module_->function("carnotConv");
  }

  // Where run() finds what; -1: not at run time.
  int x = 0, w = -1, bias = -1;
  std::vector<size_t> operands;

  void run(const RunArguments& run) const override {
    if (blocks_ == 0) return;
    Arguments arguments = arguments_;
    arguments.x = run.inputs[x];
    if (w >= 0) arguments.w = run.inputs[w];
    if (bias >= 0) arguments.bias = run.inputs[bias];
    arguments.y = run.outputs[0];
    for (size_t i = 0; i < operands.size(); ++i) arguments.operands[i] = run.inputs[operands[i]];
    cuda::launch(function_, static_cast<uint32_t>(blocks_), kThreads, &arguments, *run.stream);
  }

 private:
  Arguments arguments_;
  int64_t blocks_;
  std::shared_ptr<const cuda::Module> module_;
  CUfunction function_ = nullptr;
};

std::vector<int> runtimeInputsOf(const Problem& problem, bool packed, int w) {
  std::vector<int> inputs = presentInputs(problem);
  if (packed) std::erase(inputs, w);
  return inputs;
}

class DirectKernel final : public Kernel {
 public:
  DirectKernel(std::string_view name, bool byChannel) : name_(name), byChannel_(byChannel) {}
  std::string_view name() const override { return name_; }

  Support supports(const Problem& problem) const override {
    auto analyzed = analyze(problem);
    if (auto* refusal = std::get_if<Refusal>(&analyzed)) return std::move(*refusal);
    const AnchoredConv& conv = std::get<AnchoredConv>(analyzed);
    if (byChannel_) {
      if (std::string why = refuseByChannel(problem, conv); !why.empty()) return Refusal{why};
      return std::vector{configurationOf(problem, conv, Layout::channelsLast())};
    }
    std::vector<Configuration> all;
    if (conv.dtype != DType::F64)
      all.push_back(configurationOf(problem, conv, Layout::channelsLast()));
    if (conv.dtype == DType::F32 || conv.dtype == DType::F64)
      all.push_back(configurationOf(problem, conv, Layout::plain()));
    return all;
  }

  double estimate(const Problem& problem, const Configuration& configuration,
                  const ConcreteShapes& shapes) const override {
    const double seconds = Kernel::estimate(problem, configuration, shapes);
    return byChannel_ ? seconds : 50 * seconds;
  }

  Prepared prepare(const Problem& problem, const Configuration& configuration) const override {
    const auto analyzed = analyze(problem);
    const AnchoredConv* conv = std::get_if<AnchoredConv>(&analyzed);
    ensure(conv != nullptr, "a kernel prepares what it supports");
    Prepared prepared{
        encodeProblem(problem, configuration), {}, runtimeInputsOf(problem, byChannel_, conv->w)};
    if (byChannel_)
      prepared.weights.push_back(
          channelsInside(*problem.inputs[static_cast<size_t>(conv->w)].constant));
    return prepared;
  }

  std::unique_ptr<BoundKernel> bind(const BindArguments& arguments) const override {
    return std::make_unique<Bound>(*this, arguments);
  }

 private:
  static int vectorOf(DType dtype) { return std::min(128 / dtypeBits(dtype), 8); }

  static std::string refuseByChannel(const Problem& problem, const AnchoredConv& conv) {
    const TensorDesc& w = problem.inputs[static_cast<size_t>(conv.w)];
    if (conv.transposed || conv.strides.size() != 2) return "convolves images";
    if (!w.constant || !w.shape.isStatic()) return "packs constant weights";
    const std::vector<int64_t> dims = w.shape.concrete();
    if (conv.group < 2 || dims[0] != conv.group || dims[1] != 1)
      return "convolves each channel by itself";
    if (conv.group % vectorOf(conv.dtype) != 0)
      return fmt::format("channels by {}", vectorOf(conv.dtype));
    if (dims[2] * dims[3] > kMostTaps) return "a window of too many elements";
    if (std::ranges::find(conv.operands, conv.w) != conv.operands.end())
      return "the weights are read behind, too";
    return {};
  }

  // [C, 1, taps] as [taps, C].
  static Tensor channelsInside(const Tensor& from) {
    const int64_t channels = from.dims()[0], taps = from.count() / channels;
    Tensor packed(from.dtype(), {taps, channels});
    const auto bytes = static_cast<size_t>(dtypeBits(from.dtype()) / 8);
    for (int64_t c = 0; c < channels; ++c)
      for (int64_t t = 0; t < taps; ++t)
        std::memcpy(
            packed.as<char>() + static_cast<size_t>(t * channels + c) * bytes,
            static_cast<const char*>(from.data()) + static_cast<size_t>(c * taps + t) * bytes,
            bytes);
    return packed;
  }

  class Bound final : public BoundKernel {
   public:
    Bound(const DirectKernel& kernel, const BindArguments& arguments)
        : byChannel_(kernel.byChannel_),
          stored_(decodeProblem(arguments.parameters, arguments.device)) {
      Support support = kernel.supports(stored_.problem);
      if (auto* refusal = std::get_if<Refusal>(&support)) throwBadParameters(refusal->reason);
      const auto& known = std::get<std::vector<Configuration>>(support);
      if (std::ranges::none_of(known, [&](const Configuration& one) {
            return one.inputs == stored_.configuration.inputs &&
                   one.outputs == stored_.configuration.outputs;
          }))
        throwBadParameters("the layouts are not the convolution's");
      conv_ = std::get<AnchoredConv>(analyze(stored_.problem));
      if (arguments.weights.size() != (byChannel_ ? 1U : 0U))
        throwBadParameters("weights that the convolution does not have");
      if (byChannel_) {
        const TensorDesc& w = stored_.problem.inputs[static_cast<size_t>(conv_.w)];
        if (arguments.weights[0].dtype != conv_.dtype ||
            elementCount(arguments.weights[0].dims) != elementCount(w.shape.concrete()))
          throwBadParameters("the packed weights are not the convolution's");
        weights_ = arguments.weights[0].data;
      }
      inputs_ = runtimeInputsOf(stored_.problem, byChannel_, conv_.w);
    }

    std::unique_ptr<Executable> specialize(const ConcreteShapes& shapes) const override {
      const auto types = concreteTypes(stored_, inputs_, shapes);
      auto dimsOf = [&](int input) { return types[static_cast<size_t>(input)].shape.concrete(); };
      const std::vector<int64_t> x = dimsOf(conv_.x), w = dimsOf(conv_.w);
      const std::vector<int64_t>& y = shapes.outputs[0];
      const size_t axes = conv_.strides.size(), rank = conv_.rank();
      const Configuration& layouts = stored_.configuration;
      Arguments a;
      a.w = weights_;
      a.images = y[0];
      a.channels = y[1];
      a.groupInputs = x[1] / conv_.group;
      a.groupOutputs = y[1] / conv_.group;
      for (size_t i = 0; i < axes; ++i) {
        const size_t axis = kAxes - axes + i;
        a.in[axis] = x[2 + i];
        a.out[axis] = y[2 + i];
        a.kernel[axis] = w[2 + i];
        a.stride[axis] = conv_.strides[i];
        a.dilation[axis] = conv_.dilations[i];
        a.begin[axis] = conv_.padsBegin[i];
      }
      a.xStrides = stridesOver(layouts.inputs[static_cast<size_t>(conv_.x)], x, rank);
      a.yStrides = stridesOver(layouts.outputs[0], y, rank);
      for (size_t i = 0; i < conv_.operands.size(); ++i) {
        const auto input = static_cast<size_t>(conv_.operands[i]);
        a.operandStrides[i] = stridesOver(layouts.inputs[input], dimsOf(conv_.operands[i]), rank);
        for (int64_t& stride : a.operandStrides[i])
          stride *= dtypeBits(stored_.problem.inputs[input].dtype) / 8;
      }
      const DeviceTraits& device = stored_.problem.device;
      std::string source = commonSource(stored_.problem, conv_, stored_.problem.outputs[0].dtype);
      if (byChannel_) {
        const int pixels = a.stride[2] == 1 ? 4 : 2;
        const int64_t runs = (a.out[2] + pixels - 1) / pixels;
        a.count = a.images * a.out[1] * runs * (a.channels / vectorOf(conv_.dtype));
        source += fmt::format(
            "constexpr int kVector = {}, kPixels = {}, kKernelY = {}, kKernelX = {}, kStrideY = "
            "{}, kStrideX = {}, kDilationY = {}, kDilationX = {}, kBeginY = {}, kBeginX = {};\n",
            vectorOf(conv_.dtype), pixels, a.kernel[1], a.kernel[2], a.stride[1], a.stride[2],
            a.dilation[1], a.dilation[2], a.begin[1], a.begin[2]);
        source += kByChannel;
      } else {
        a.count = elementCount(y);
        source += fmt::format("constexpr bool kLast = {};\n", !layouts.outputs[0].isPlain());
        source += kAnyWindow;
      }
      const int64_t blocks =
          std::min((a.count + kThreads - 1) / kThreads, int64_t{device.multiprocessors} * 32);
      auto executable = std::make_unique<DirectExecutable>(a, source, blocks);
      auto place = [&](int input) { return static_cast<int>(positionOf(inputs_, input)); };
      executable->x = place(conv_.x);
      if (!byChannel_) executable->w = place(conv_.w);
      if (conv_.bias >= 0) executable->bias = place(conv_.bias);
      for (int operand : conv_.operands)
        executable->operands.push_back(positionOf(inputs_, operand));
      return executable;
    }

   private:
    bool byChannel_;
    StoredProblem stored_;
    AnchoredConv conv_;
    const void* weights_ = nullptr;
    std::vector<int> inputs_;
  };

  std::string_view name_;
  bool byChannel_;
};

}  // namespace

const Kernel& cudaConvByChannel() {
  static const DirectKernel kernel("cuda/conv/depthwise", true);
  return kernel;
}
const Kernel& cudaConvDirect() {
  static const DirectKernel kernel("cuda/conv/direct", false);
  return kernel;
}

}  // namespace carnot
