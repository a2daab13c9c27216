// Attention by tiles of queries and keys with a running softmax, generated: on tensor cores for
// half precision, in float32 otherwise.

#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"
#include "codegen/cuda/attention_source.h"
#include "devices/cuda/compile.h"
#include "kernels/attention_problem.h"
#include "kernels/cuda/launch.h"
#include "kernels/parameters.h"

namespace carnot {
namespace {

using cuda::AttentionArguments;
using cuda::AttentionVariant;

// Shared memory that the code declares itself.
constexpr size_t kMostHidden = 1 << 10;

struct Analysis : AttentionProblem {
  AttentionVariant variant;
};

std::variant<Refusal, Analysis> analyze(const Problem& problem) {
  if (problem.device.computeCapability < 80)
    return Refusal{fmt::format("needs compute capability 8.0, not {}.{}",
                               problem.device.computeCapability / 10,
                               problem.device.computeCapability % 10)};
  auto read = readAttention(problem, cuda::kMostAttentionSize);
  if (auto* refusal = std::get_if<Refusal>(&read)) return *refusal;
  Analysis out{std::get<AttentionProblem>(read), {}};
  AttentionVariant& variant = out.variant;
  variant.dtype = problem.inputs[static_cast<size_t>(out.inputs[0])].dtype;
  if (variant.dtype != DType::F32 && variant.dtype != DType::F16 && variant.dtype != DType::BF16)
    return Refusal{
        fmt::format("attends in float32, float16 or bfloat16, not {}", dtypeName(variant.dtype))};
  variant.tf32 = variant.dtype == DType::F32 && problem.tf32;
  variant.size = static_cast<int>(out.size);
  variant.valueSize = static_cast<int>(out.valueSize);
  variant.causal = out.causal != Causal::None;
  if (out.inputs[3] < 0) return out;
  variant.maskType = problem.inputs[static_cast<size_t>(out.inputs[3])].dtype;
  variant.mask =
      variant.maskType == DType::Bool ? AttentionVariant::Mask::Keep : AttentionVariant::Mask::Add;
  const Shape& mask = problem.inputs[static_cast<size_t>(out.inputs[3])].shape;
  variant.perKey = mask.rank() < 2 || mask[mask.rank() - 2].tryConstant() == 1;
  if (variant.maskType == DType::F64) return Refusal{"masks by no float64"};
  return out;
}

// Whether rows are whole units of 16 bytes apart.
bool evenRows(const AttentionPlace& place, int64_t size, DType dtype) {
  const int64_t unit = 128 / dtypeBits(dtype);
  return size % unit == 0 && place.rowStride % unit == 0 && place.headStride % unit == 0 &&
         place.batchStride % unit == 0;
}

class AttentionExecutable final : public Executable {
 public:
  AttentionExecutable(const Analysis& analysis, const size_t (&positions)[4],
                      const ConcreteShapes& shapes)
      : hasMask_(analysis.inputs[3] >= 0) {
    std::ranges::copy(positions, positions_);
    auto place = [&](size_t i) {
      return AttentionPlace(analysis.axes[i], shapes.inputs[positions[i]]);
    };
    const AttentionPlace q = place(0), k = place(1), v = place(2);
    const AttentionPlace out(analysis.axes[3], shapes.outputs[0]);
    if (q.batches * q.heads * q.length == 0) return;
    if (std::max(q.length, k.length) >> 30 != 0)
      throw Error(ErrorCode::Unsupported, "more than 2^30 queries or keys");
    auto operand = [](const AttentionPlace& from) {
      return AttentionArguments::Operand{nullptr, from.batchStride, from.headStride,
                                         from.rowStride};
    };
    arguments_.q = operand(q), arguments_.k = operand(k), arguments_.v = operand(v);
    arguments_.out = operand(out);
    arguments_.heads = static_cast<int32_t>(q.heads);
    arguments_.shared = static_cast<int32_t>(k.heads == 0 ? 1 : q.heads / k.heads);
    arguments_.queries = static_cast<int32_t>(q.length);
    arguments_.keys = static_cast<int32_t>(k.length);
    if (analysis.causal == Causal::FromEnd)
      arguments_.offset = static_cast<int32_t>(k.length - q.length);
    arguments_.scale = static_cast<float>(analysis.scale);
    if (hasMask_) {
      const std::vector<int64_t>& mask = shapes.inputs[positions[3]];
      int64_t* strides[] = {&arguments_.maskBatch, &arguments_.maskHead, &arguments_.maskQuery,
                            &arguments_.maskKey};
      int64_t stride = 1;
      for (size_t i = mask.size(); i-- > 0; stride *= mask[i])
        if (mask[i] != 1) *strides[4 - mask.size() + i] = stride;
    }
    AttentionVariant variant = analysis.variant;
    shape_.threads = static_cast<uint32_t>(32 * variant.warps);
    shape_.sharedBytes = static_cast<uint32_t>(variant.sharedBytes());
    shape_.overlapped = true;
    const int64_t blocks =
        q.batches * q.heads * ((q.length + variant.queries() - 1) / variant.queries());
    if (blocks >> 31 != 0) throw Error(ErrorCode::Unsupported, "an attention over too many heads");
    shape_.blocks = static_cast<uint32_t>(blocks);
    variant.wide = false;
    any_ = Code(variant);
    variant.wide = evenRows(q, analysis.size, variant.dtype) &&
                   evenRows(k, analysis.size, variant.dtype) &&
                   evenRows(v, analysis.valueSize, variant.dtype) &&
                   evenRows(out, analysis.valueSize, variant.dtype);
    if (variant.wide) wide_ = Code(variant);
  }

  void run(const RunArguments& arguments) const override {
    if (!any_.function) return;
    AttentionArguments all = arguments_;
    all.q.address = arguments.inputs[positions_[0]];
    all.k.address = arguments.inputs[positions_[1]];
    all.v.address = arguments.inputs[positions_[2]];
    all.out.address = arguments.outputs[0];
    if (hasMask_) all.mask = arguments.inputs[positions_[3]];
    uintptr_t addresses = 0;
    for (const auto* operand : {&all.q, &all.k, &all.v, &all.out})
      addresses |= reinterpret_cast<uintptr_t>(operand->address);
    const bool wide = wide_.function && addresses % 16 == 0;
    cuda::launch(wide ? wide_.function : any_.function, shape_, &all, *arguments.stream);
  }

 private:
  struct Code {
    std::shared_ptr<const cuda::Module> module;
    CUfunction function = nullptr;
    Code() = default;
    explicit Code(const AttentionVariant& variant)
        : module(cuda::moduleOf(cuda::attentionSource(variant))),
          function(module->function(cuda::kAttentionFunction)) {
      cuda::allowShared(function, variant.sharedBytes());
    }
  };
  size_t positions_[4] = {};
  bool hasMask_;
  AttentionArguments arguments_;
  cuda::LaunchShape shape_;
  Code any_, wide_;  // wide_: where addresses are multiples of 16 bytes too
};

class BoundAttention final : public BoundKernel {
 public:
  explicit BoundAttention(const BindArguments& arguments)
      : stored_(decodeProblem(arguments.parameters, arguments.device)) {
    auto analyzed = analyze(stored_.problem);
    if (auto* refusal = std::get_if<Refusal>(&analyzed)) throwBadParameters(refusal->reason);
    if (!arguments.weights.empty()) throwBadParameters("weights that attention does not have");
    analysis_ = std::get<Analysis>(analyzed);
    analysis_.variant.warps = static_cast<int>(parameter(stored_.configuration, "warps", 1, 8));
    analysis_.variant.keys = static_cast<int>(parameter(stored_.configuration, "keys", 32, 128));
    if (analysis_.variant.keys % 32 != 0) throwBadParameters("an odd number of keys");
    if (static_cast<size_t>(analysis_.variant.sharedBytes()) + kMostHidden >
        arguments.device.l1Bytes)
      throwBadParameters("more shared memory than a block may have");
    const std::vector<int> present = presentInputs(stored_.problem);
    for (size_t i = 0; i < 4; ++i)
      if (analysis_.inputs[i] >= 0) positions_[i] = positionOf(present, analysis_.inputs[i]);
  }

  std::unique_ptr<Executable> specialize(const ConcreteShapes& shapes) const override {
    concreteTypes(stored_, presentInputs(stored_.problem), shapes);
    return std::make_unique<AttentionExecutable>(analysis_, positions_, shapes);
  }

 private:
  StoredProblem stored_;
  Analysis analysis_;
  size_t positions_[4] = {};  // of q, k, v and the mask among the inputs of a run
};

class CudaAttention final : public Kernel {
 public:
  std::string_view name() const override { return "cuda/attention"; }

  Support supports(const Problem& problem) const override {
    auto analyzed = analyze(problem);
    if (auto* refusal = std::get_if<Refusal>(&analyzed)) return std::move(*refusal);
    AttentionVariant variant = std::get<Analysis>(analyzed).variant;
    std::vector<Configuration> configurations;
    auto offer = [&](int64_t warps, int64_t keys) {
      variant.warps = static_cast<int>(warps);
      variant.keys = static_cast<int>(keys);
      if (static_cast<size_t>(variant.sharedBytes()) + kMostHidden <= problem.device.l1Bytes)
        configurations.push_back({{{"keys", keys}, {"warps", warps}},
                                  plainLayouts(problem.inputs.size()),
                                  plainLayouts(problem.outputs.size())});
    };
    if (variant.tf32) {
      for (int64_t warps : {1, 2, 4, 8}) offer(warps, 32);
      for (int64_t warps : {2, 4}) offer(warps, 64);
    } else if (variant.dtype == DType::F32) {
      for (int64_t warps : {2, 4}) offer(warps, 32);
    } else {
      for (int64_t warps : {1, 2, 4, 8}) offer(warps, 64);
      if (std::max(variant.size, variant.valueSize) <= 64)
        for (int64_t warps : {1, 2, 4}) offer(warps, 128);
    }
    if (configurations.empty()) return Refusal{"needs more shared memory than a block may have"};
    return configurations;
  }

  // Blocks run one after another on each multiprocessor; a block waits for each of its blocks of
  // keys.
  double estimate(const Problem& problem, const Configuration& configuration,
                  const ConcreteShapes& shapes) const override {
    const auto analyzed = analyze(problem);
    const auto& analysis = std::get<Analysis>(analyzed);
    AttentionVariant variant = analysis.variant;
    variant.warps = static_cast<int>(parameter(configuration, "warps", 1, 8));
    variant.keys = static_cast<int>(parameter(configuration, "keys", 32, 128));
    const AttentionPlace q(analysis.axes[0],
                           shapes.inputs[static_cast<size_t>(analysis.inputs[0])]);
    const AttentionPlace k(analysis.axes[1],
                           shapes.inputs[static_cast<size_t>(analysis.inputs[1])]);
    auto ceilDivide = [](int64_t a, int64_t b) { return (a + b - 1) / b; };
    const int64_t blocks = q.batches * q.heads * ceilDivide(q.length, variant.queries());
    const int64_t keyBlocks = ceilDivide(k.length, variant.keys);
    const double rate = !variant.onTensorCores() ? 1e11
                        : variant.tf32           ? 5e11
                                                 : 1.5e12;  // of a multiprocessor
    const double work =
        2.0 * variant.queries() * variant.keys * (analysis.size + analysis.valueSize);
    const double loaded = 2.0 * variant.keys * (analysis.size + analysis.valueSize);
    const double latency = 0.5e-6 + loaded / (2e9 * 32 * variant.warps);
    const int64_t sharing = ceilDivide(blocks, problem.device.multiprocessors);
    return 2e-6 + static_cast<double>(keyBlocks) *
                      std::max(static_cast<double>(sharing) * work / rate,
                               latency * static_cast<double>(ceilDivide(sharing, 4)));
  }

  Prepared prepare(const Problem& problem, const Configuration& configuration) const override {
    return {encodeProblem(problem, configuration), {}, presentInputs(problem)};
  }

  std::unique_ptr<BoundKernel> bind(const BindArguments& arguments) const override {
    return std::make_unique<BoundAttention>(arguments);
  }
};

}  // namespace

const Kernel& cudaAttention() {
  static const CudaAttention kernel;
  return kernel;
}

}  // namespace carnot
