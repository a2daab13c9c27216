// Paged attention: a function that puts new keys and values into the cache, and one that attends, a
// block of eight warps to each row and head, which take the keys in turn.

#include <fmt/format.h>

#include "base/error.h"
#include "codegen/cuda/scalar_source.h"
#include "devices/cuda/compile.h"
#include "kernels/cuda/launch.h"
#include "kernels/one_step.h"
#include "ops/paged_attention.h"

namespace carnot {
namespace {

using namespace paged;

constexpr uint32_t kWriters = 256, kAttenders = 256;
constexpr int64_t kMaxSize = 1024;
constexpr int64_t kMostBlocks = INT32_MAX;  // of a launch

// As Arguments in the source.
struct Arguments {
  const void *q, *k, *v;
  void* cache;
  const void *tables, *starts, *lengths;
  void* y;
  int64_t tokens, blocks, sequences, mostBlocks;
};

const char* const kSource = R"(
struct Arguments {
  const Row *q, *k, *v;
  Cached* cache;
  const int *tables, *starts, *lengths;
  Row* y;
  long long tokens, blocks, sequences, mostBlocks;
};

// The sequence of a row, and the row's position in it; false for rows of none.
__device__ inline bool locate(const Arguments& a, long long row, long long& sequence,
                              long long& position) {
  long long low = 0, high = a.sequences;
  while (low < high) {
    const long long middle = (low + high) / 2;
    if (a.starts[middle + 1] > row)
      high = middle;
    else
      low = middle + 1;
  }
  sequence = low;
  if (low == a.sequences || row < a.starts[low]) return false;
  position = (long long)a.lengths[low] - a.starts[low + 1] + row;
  return position >= 0 && position < a.mostBlocks * kBlockSize;
}

// Where a key (0) or value (1) lies; null for a block that is not there.
__device__ inline Cached* slotOf(const Arguments& a, long long sequence, long long position,
                                 int which, int head) {
  const long long block = a.tables[sequence * a.mostBlocks + position / kBlockSize];
  if (block < 0 || block >= a.blocks) return nullptr;
  return a.cache +
         (((block * 2 + which) * kKvHeads + head) * kBlockSize + position % kBlockSize) * kSize;
}

extern "C" __global__ void __launch_bounds__(256) carnotWrite(const __grid_constant__ Arguments a) {
  const long long count = a.tokens * kKvHeads * kSize, step = (long long)gridDim.x * blockDim.x;
  for (long long i = blockIdx.x * (long long)blockDim.x + threadIdx.x; i < count; i += step) {
    const long long rest = i / kSize, row = rest / kKvHeads;
    const int element = (int)(i - rest * kSize), head = (int)(rest - row * kKvHeads);
    long long sequence, position;
    if (!locate(a, row, sequence, position)) continue;
    Cached* key = slotOf(a, sequence, position, 0, head);
    if (!key) continue;
    key[element] = toCached(fromRow(a.k[i]));
    key[(long long)kKvHeads * kBlockSize * kSize + element] = toCached(fromRow(a.v[i]));
  }
}

constexpr int kWarps = 8, kParts = (kSize + 31) / 32, kAtOnce = 8;

__device__ inline float sumOfWarp(float x) {
#pragma unroll
  for (int distance = 16; distance > 0; distance /= 2)
    x += __shfl_xor_sync(0xffffffffu, x, distance);
  return x;
}

extern "C" __global__ void __launch_bounds__(256)
    carnotAttend(const __grid_constant__ Arguments a) {
  __shared__ float mixes[kWarps][kSize], maxima[kWarps], sums[kWarps];
  const float kNone = __int_as_float(0xff800000);
  const long long row = blockIdx.x / kHeads;
  const int head = (int)(blockIdx.x - row * kHeads), kvHead = head / (kHeads / kKvHeads);
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  Row* y = a.y + (row * kHeads + head) * kSize;
  long long sequence, position;
  if (!locate(a, row, sequence, position)) {
    for (int i = threadIdx.x; i < kSize; i += blockDim.x) y[i] = toRow(0.0f);
    return;
  }
  float q[kParts], mixed[kParts], most = kNone, sum = 0;
#pragma unroll
  for (int part = 0; part < kParts; ++part) {
    const int i = lane + 32 * part;
    q[part] = i < kSize ? fromRow(a.q[(row * kHeads + head) * kSize + i]) : 0.0f;
    mixed[part] = 0;
  }
  for (long long first = warp * kAtOnce; first <= position; first += kWarps * kAtOnce) {
    const Cached* slots[kAtOnce];
    float scores[kAtOnce];
#pragma unroll
    for (int j = 0; j < kAtOnce; ++j) {
      slots[j] =
          first + j <= position ? slotOf(a, sequence, first + j, 0, kvHead) : (Cached*)nullptr;
      scores[j] = 0;
#pragma unroll
      for (int part = 0; part < kParts; ++part) {
        const int i = lane + 32 * part;
        if (slots[j] && i < kSize) scores[j] += q[part] * fromCached(slots[j][i]);
      }
    }
    float next = most;
#pragma unroll
    for (int j = 0; j < kAtOnce; ++j) {
      scores[j] = slots[j] ? scaled(sumOfWarp(scores[j])) : kNone;
      next = fmaxf(next, scores[j]);
    }
    if (next == kNone) continue;
    const float factor = expf(most - next);
    most = next;
    sum *= factor;
#pragma unroll
    for (int part = 0; part < kParts; ++part) mixed[part] *= factor;
#pragma unroll
    for (int j = 0; j < kAtOnce; ++j) {
      if (!slots[j]) continue;
      const float weight = expf(scores[j] - most);
      sum += weight;
      const Cached* value = slots[j] + (long long)kKvHeads * kBlockSize * kSize;
#pragma unroll
      for (int part = 0; part < kParts; ++part) {
        const int i = lane + 32 * part;
        if (i < kSize) mixed[part] += weight * fromCached(value[i]);
      }
    }
  }
#pragma unroll
  for (int part = 0; part < kParts; ++part)
    if (lane + 32 * part < kSize) mixes[warp][lane + 32 * part] = mixed[part];
  if (lane == 0) {
    maxima[warp] = most;
    sums[warp] = sum;
  }
  __syncthreads();
  float all = kNone, total = 0, factors[kWarps];
#pragma unroll
  for (int w = 0; w < kWarps; ++w) all = fmaxf(all, maxima[w]);
#pragma unroll
  for (int w = 0; w < kWarps; ++w) {
    factors[w] = maxima[w] == kNone ? 0.0f : expf(maxima[w] - all);
    total += factors[w] * sums[w];
  }
  for (int i = threadIdx.x; i < kSize; i += blockDim.x) {
    float value = 0;
#pragma unroll
    for (int w = 0; w < kWarps; ++w) value += factors[w] * mixes[w][i];
    y[i] = toRow(total > 0 ? value / total : 0.0f);
  }
}
)";

bool isStored(DType type) {
  return type == DType::F32 || type == DType::F16 || type == DType::BF16;
}

std::string sourceOf(double scale, DType rows, DType cached, const PagedBatch& batch) {
  std::string source = cuda::kScalarPrelude;
  source += fmt::format("typedef {} Row;\ntypedef {} Cached;\n", cuda::memoryType(rows),
                        cuda::memoryType(cached));
  auto conversions = [&](const char* name, DType type) {
    source += fmt::format("__device__ inline float from{0}({0} x) {{ return {1}; }}\n", name,
                          cuda::loaded(type, "x"));
    source += fmt::format("__device__ inline {0} to{0}(float x) {{ return {1}; }}\n", name,
                          cuda::stored(type, "x"));
  };
  conversions("Row", rows);
  conversions("Cached", cached);
  source += fmt::format(
      "__device__ inline float scaled(float x) {{ return x * {}; }}\n"
      "constexpr int kHeads = {}, kKvHeads = {}, kSize = {}, kBlockSize = {};\n",
      cuda::literal(DType::F32, scale), batch.heads, batch.kvHeads, batch.size, batch.blockSize);
  return source + kSource;
}

class PagedExecutable final : public Executable {
 public:
  PagedExecutable(const PagedAttention& attention, const OneStep& step, const DeviceTraits& device,
                  const ConcreteShapes& shapes) {
    for (size_t i = 0; i < kInputs; ++i) positions_[i] = step.position(i);
    auto dims = [&](size_t input) -> const auto& { return shapes.inputs[positions_[input]]; };
    batch_ = PagedBatch::of(dims(kQueries), dims(kCache), dims(kBlockTables));
    if (batch_.tokens > kMostBlocks / batch_.heads)
      throw Error(ErrorCode::InvalidArgument, fmt::format("{} tokens in one step", batch_.tokens),
                  fmt::format("at most {}", kMostBlocks / batch_.heads), "run them in parts");
    if (batch_.tokens == 0) return;
    module_ = cuda::moduleOf(
        sourceOf(attention.scale, step.desc(kQueries).dtype, step.desc(kCache).dtype, batch_));
    write_ = module_->function("carnotWrite");
    attend_ = module_->function("carnotAttend");
    const int64_t elements = batch_.tokens * batch_.kvHeads * batch_.size;
    writeBlocks_ = static_cast<uint32_t>(std::min<int64_t>(
        (elements + kWriters - 1) / kWriters, int64_t{std::max(1, device.multiprocessors)} * 8));
  }

  void run(const RunArguments& arguments) const override {
    if (batch_.tokens == 0) return;
    auto input = [&](size_t which) { return arguments.inputs[positions_[which]]; };
    Arguments words{.q = input(kQueries),
                    .k = input(kKeys),
                    .v = input(kValues),
                    .cache = arguments.outputs[kUpdated],
                    .tables = input(kBlockTables),
                    .starts = input(kStarts),
                    .lengths = input(kLengths),
                    .y = arguments.outputs[kMixed],
                    .tokens = batch_.tokens,
                    .blocks = batch_.blocks,
                    .sequences = batch_.sequences,
                    .mostBlocks = batch_.mostBlocks};
    cuda::launch(write_, writeBlocks_, kWriters, &words, *arguments.stream);
    cuda::launch(attend_, static_cast<uint32_t>(batch_.tokens * batch_.heads), kAttenders, &words,
                 *arguments.stream);
  }

 private:
  std::array<size_t, kInputs> positions_{};
  PagedBatch batch_;
  std::shared_ptr<const cuda::Module> module_;
  CUfunction write_ = nullptr, attend_ = nullptr;
  uint32_t writeBlocks_ = 0;
};

class CudaAttentionPaged final : public OneStepKernel<PagedAttention, kOutputs> {
 public:
  std::string_view name() const override { return "cuda/attention/paged"; }

 protected:
  Support supportsStep(const PagedAttention&, const OneStep& step,
                       const Problem& problem) const override {
    if (!isStored(step.desc(kQueries).dtype))
      return Refusal{fmt::format("rows of float32, float16 or bfloat16, not {}",
                                 dtypeName(step.desc(kQueries).dtype))};
    if (std::string why = whyNotFixed(step.desc(kQueries).shape, step.desc(kCache).shape, kMaxSize);
        !why.empty())
      return Refusal{std::move(why)};
    return std::vector<Configuration>{
        {{}, plainLayouts(problem.inputs.size()), plainLayouts(problem.outputs.size())}};
  }

  std::unique_ptr<Executable> makeExecutable(const PagedAttention& attention,
                                             const StoredProblem& stored,
                                             const ConcreteShapes& shapes) const override {
    return std::make_unique<PagedExecutable>(attention, OneStep(stored.problem),
                                             stored.problem.device, shapes);
  }
};

}  // namespace

const Kernel& cudaAttentionPaged() {
  static const CudaAttentionPaged kernel;
  return kernel;
}

}  // namespace carnot
