#include <algorithm>
#include <atomic>
#include <limits>

#include "base/error.h"
#include "base/threads.h"
#include "codegen/cpu/softmax_rows.h"
#include "kernels/cpu/paged_loops.h"
#include "kernels/one_step.h"
#include "ops/paged_attention.h"

namespace carnot {
namespace {

using namespace paged;

constexpr int64_t kKeysOfPart = 64;  // under one step of the running softmax
constexpr int64_t kRowsOfUnit = 32;  // query rows times the heads that share a key head, if it fits
constexpr int64_t kMaxSize = 1024;

const PagedLoops& loopsOf(IsaSet isa) {
  return isa.has(Isa::Avx512) ? pagedLoopsAvx512() : pagedLoopsAvx2();
}

size_t rounded(size_t bytes) { return (bytes + 63) / 64 * 64; }

class PagedExecutable final : public Executable {
 public:
  PagedExecutable(const PagedAttention& attention, const OneStep& step, const StoredProblem& stored,
                  const ConcreteShapes& shapes)
      : loops_(loopsOf(stored.problem.device.isa)),
        softmax_({.isa = stored.problem.device.isa, .scale = static_cast<float>(attention.scale)}),
        cacheType_(step.desc(kCache).dtype),
        threads_(std::max(1, stored.problem.device.threads)) {
    for (size_t i = 0; i < kInputs; ++i) positions_[i] = step.position(i);
    auto dims = [&](size_t input) -> const auto& { return shapes.inputs[positions_[input]]; };
    batch_ = PagedBatch::of(dims(kQueries), dims(kCache), dims(kBlockTables));
    shared_ = batch_.kvHeads > 0 ? batch_.heads / batch_.kvHeads : 1;
    queriesOfUnit_ = std::max<int64_t>(1, kRowsOfUnit / std::max<int64_t>(1, shared_));
    rows_ = queriesOfUnit_ * shared_;
  }

  size_t workspaceBytes() const override {
    return unitBytes() + static_cast<size_t>(threads_) * scratchBytes();
  }

  void run(const RunArguments& arguments) const override {
    PagedBatch batch = batch_;
    batch.blockTables = static_cast<const int32_t*>(input(arguments, kBlockTables));
    batch.starts = static_cast<const int32_t*>(input(arguments, kStarts));
    batch.lengths = static_cast<const int32_t*>(input(arguments, kLengths));
    batch.check();
    auto* y = static_cast<float*>(arguments.outputs[kMixed]);
    const int64_t width = batch.heads * batch.size, last = batch.starts[batch.sequences];
    std::fill(y + last * width, y + batch.tokens * width, 0.0f);

    auto* firstUnits = static_cast<int64_t*>(arguments.workspace);
    int64_t units = 0;
    for (int64_t s = 0; s < batch.sequences; ++s) {
      firstUnits[s] = units;
      units += (batch.rowsOf(s) + queriesOfUnit_ - 1) / queriesOfUnit_ * batch.kvHeads;
    }
    arguments.pool->forRange(batch.sequences, 1, [&](int64_t begin, int64_t end) {
      for (int64_t s = begin; s < end; ++s) writeSequence(arguments, batch, s);
    });
    std::atomic<int64_t> next = 0;
    auto* scratch = static_cast<std::byte*>(arguments.workspace) + unitBytes();
    const auto parts = static_cast<int>(std::min<int64_t>(threads_, units));
    arguments.pool->run(parts, [&](int part) {
      const Scratch mine(scratch + static_cast<size_t>(part) * scratchBytes(), rows_, batch.size);
      for (int64_t unit = next++; unit < units; unit = next++) {
        const int64_t* after = std::upper_bound(firstUnits, firstUnits + batch.sequences, unit);
        const int64_t s = after - firstUnits - 1, within = unit - firstUnits[s];
        attend(arguments, batch, s, within / batch.kvHeads * queriesOfUnit_, within % batch.kvHeads,
               mine);
      }
    });
  }

 private:
  struct Scratch {
    float *scores, *out, *maxima, *sums, *factors, *block;

    static constexpr int64_t kPadded = 16;
    static int64_t padded(int64_t count) { return (count + kPadded - 1) / kPadded * kPadded; }
    static int64_t floats(int64_t rows, int64_t size) {
      return rows * kKeysOfPart + padded(rows * size) + 3 * padded(rows) + kKeysOfPart * size;
    }
    Scratch(std::byte* memory, int64_t rows, int64_t size)
        : scores(reinterpret_cast<float*>(memory)),
          out(scores + rows * kKeysOfPart),
          maxima(out + padded(rows * size)),
          sums(maxima + padded(rows)),
          factors(sums + padded(rows)),
          block(factors + padded(rows)) {}
  };

  // Of each sequence its first unit of work.
  size_t unitBytes() const { return rounded(static_cast<size_t>(batch_.sequences) * 8); }
  size_t scratchBytes() const {
    return rounded(static_cast<size_t>(Scratch::floats(rows_, batch_.size)) * sizeof(float));
  }
  const void* input(const RunArguments& arguments, size_t which) const {
    return arguments.inputs[positions_[which]];
  }
  std::byte* cacheAt(const RunArguments& arguments, int64_t element) const {
    return static_cast<std::byte*>(arguments.outputs[kUpdated]) + dtypeBytes(cacheType_, element);
  }

  void writeSequence(const RunArguments& arguments, const PagedBatch& batch, int64_t s) const {
    for (int64_t row = 0; row < batch.rowsOf(s); ++row)
      for (int64_t which = 0; which < 2; ++which) {
        const auto* from = static_cast<const float*>(input(arguments, kKeys + which)) +
                           (batch.starts[s] + row) * batch.kvHeads * batch.size;
        for (int64_t head = 0; head < batch.kvHeads; ++head)
          loops_.store(cacheType_, from + head * batch.size, batch.size,
                       cacheAt(arguments, batch.slotOf(s, batch.positionOf(s, row), which, head)));
      }
  }

  // Calls body(first key of the part, its keys, their floats) for the keys [begin, end), a part
  // within one block of the cache.
  template <typename Body>
  void forParts(const RunArguments& arguments, const PagedBatch& batch, int64_t s, int64_t which,
                int64_t kvHead, int64_t begin, int64_t end, float* block, Body body) const {
    for (int64_t key = begin; key < end;) {
      const int64_t inBlock = batch.blockSize - key % batch.blockSize;
      const int64_t keys = std::min(inBlock, end - key);
      const std::byte* cached = cacheAt(arguments, batch.slotOf(s, key, which, kvHead));
      const auto* floats = reinterpret_cast<const float*>(cached);
      if (cacheType_ != DType::F32) {
        loops_.load(cacheType_, cached, keys * batch.size, block);
        floats = block;
      }
      body(key - begin, keys, floats);
      key += keys;
    }
  }

  // Some rows of a sequence from row `first` on, of the heads that read `kvHead`: head after head.
  void attend(const RunArguments& arguments, const PagedBatch& batch, int64_t s, int64_t first,
              int64_t kvHead, const Scratch& scratch) const {
    const int64_t size = batch.size, rowStride = batch.heads * size;
    const int64_t queries = std::min(queriesOfUnit_, batch.rowsOf(s) - first);
    const int64_t rows = queries * shared_, seen = batch.positionOf(s, first) + 1;
    const int64_t start = (batch.starts[s] + first) * rowStride + kvHead * shared_ * size;
    const float* q = static_cast<const float*>(input(arguments, kQueries)) + start;
    float* y = static_cast<float*>(arguments.outputs[kMixed]) + start;
    std::fill_n(scratch.out, rows * size, 0.0f);
    std::fill_n(scratch.maxima, rows, -std::numeric_limits<float>::infinity());
    std::fill_n(scratch.sums, rows, 0.0f);
    const int64_t all = seen + queries - 1;
    for (int64_t key = 0; key < all; key += kKeysOfPart) {
      const int64_t end = std::min(key + kKeysOfPart, all);
      forParts(arguments, batch, s, 0, kvHead, key, end, scratch.block,
               [&](int64_t column, int64_t keys, const float* block) {
                 for (int64_t head = 0; head < shared_; ++head)
                   loops_.score(
                       {queries, keys, size, block,
                        scratch.scores + head * queries * kKeysOfPart + column, kKeysOfPart},
                       q + head * size, rowStride);
               });
      for (int64_t head = 0; head < shared_; ++head)
        softmax_({.scores = scratch.scores + head * queries * kKeysOfPart,
                  .rowStride = kKeysOfPart * 4,
                  .rows = queries,
                  .columns = seen - key,
                  .columnsStep = 1,
                  .columnsLimit = end - key,
                  .paddedColumns = Scratch::padded(end - key),
                  .maxima = scratch.maxima + head * queries,
                  .sums = scratch.sums + head * queries,
                  .factors = scratch.factors + head * queries});
      forParts(arguments, batch, s, 1, kvHead, key, end, scratch.block,
               [&](int64_t column, int64_t keys, const float* block) {
                 loops_.mix({rows, keys, size, block, scratch.scores + column, kKeysOfPart},
                            scratch.factors, scratch.out);
                 if (column + keys < end - key) std::fill_n(scratch.factors, rows, 1.0f);
               });
    }
    for (int64_t head = 0; head < shared_; ++head)
      for (int64_t query = 0; query < queries; ++query) {
        const int64_t row = head * queries + query;
        loops_.finish(scratch.out + row * size, scratch.sums[row], size,
                      y + query * rowStride + head * size);
      }
  }

  const PagedLoops& loops_;
  SoftmaxRows softmax_;
  DType cacheType_;
  int threads_;
  std::array<size_t, kInputs> positions_{};
  PagedBatch batch_;
  int64_t shared_ = 1, queriesOfUnit_ = 1, rows_ = 1;
};

// Blocks of keys with a running softmax, units of rows that share a key head over the threads.
class AttentionPaged final : public OneStepKernel<PagedAttention, kOutputs> {
 public:
  std::string_view name() const override { return "cpu/attention/paged"; }

 protected:
  Support supportsStep(const PagedAttention&, const OneStep& step,
                       const Problem& problem) const override {
    if (!problem.device.isa.has(Isa::Avx2)) return Refusal{"needs AVX2"};
    if (step.desc(kQueries).dtype != DType::F32)
      return Refusal{
          fmt::format("queries of float32, not {}", dtypeName(step.desc(kQueries).dtype))};
    const Shape& cache = step.desc(kCache).shape;
    for (size_t axis : {size_t{2}, size_t{3}, size_t{4}})
      if (!cache[axis].isConstant() || cache[axis].constant() < 1)
        return Refusal{
            fmt::format("needs constant heads and block size, not {}", cache.toString())};
    if (cache[4].constant() > kMaxSize)
      return Refusal{fmt::format("heads of at most {}, not {}", kMaxSize, cache[4].toString())};
    return std::vector<Configuration>{
        {{}, plainLayouts(problem.inputs.size()), plainLayouts(problem.outputs.size())}};
  }

  std::unique_ptr<Executable> makeExecutable(const PagedAttention& attention,
                                             const StoredProblem& stored,
                                             const ConcreteShapes& shapes) const override {
    return std::make_unique<PagedExecutable>(attention, OneStep(stored.problem), stored, shapes);
  }
};

}  // namespace

const Kernel& attentionPaged() {
  static const AttentionPaged kernel;
  return kernel;
}

}  // namespace carnot
