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
// Keys whose softmax runs on by itself; those of longer sequences are merged, in order, so that it
// is the same whether one thread goes through all of them or several take some.
constexpr int64_t kKeysOfSegment = 512;
constexpr size_t kPartialBytesOfThread = size_t{4} << 20;

const PagedLoops& loopsOf(IsaSet isa) {
  return isa.has(Isa::Avx512) ? pagedLoopsAvx512() : pagedLoopsAvx2();
}

size_t rounded(size_t bytes) { return (bytes + 63) / 64 * 64; }

int64_t segmentsOf(int64_t keys) { return (keys + kKeysOfSegment - 1) / kKeysOfSegment; }

// A row's softmax over some keys: the mix of their values not yet divided by the sum.
struct Partial {
  float *out, *most, *sum;  // a sum of 0: no key was seen
};

// `to` over the keys of both.
void merge(const SoftmaxRows& softmax, const Partial& to, const Partial& from, int64_t size) {
  if (*from.sum == 0) return;
  if (*to.sum == 0) {
    std::copy_n(from.out, size, to.out);
    *to.most = *from.most;
    *to.sum = *from.sum;
    return;
  }
  const float most = std::max(*to.most, *from.most);
  const float mine = softmax.factor(*to.most, most), other = softmax.factor(*from.most, most);
  for (int64_t i = 0; i < size; ++i) to.out[i] = to.out[i] * mine + from.out[i] * other;
  *to.sum = *to.sum * mine + *from.sum * other;
  *to.most = most;
}

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
    mostSegments_ = segmentsOf(batch_.capacity());
    const double bytes = static_cast<double>(batch_.tokens * batch_.heads) *
                         static_cast<double>(mostSegments_) * static_cast<double>(partialFloats()) *
                         4;
    splits_ = threads_ > 1 && mostSegments_ > 1 &&
              bytes <= static_cast<double>(kPartialBytesOfThread) * threads_;
  }

  size_t workspaceBytes() const override {
    const int64_t partials = splits_ ? batch_.tokens * batch_.heads * mostSegments_ : 0;
    return unitBytes() + static_cast<size_t>(threads_) * scratchBytes() +
           static_cast<size_t>(partials * partialFloats()) * sizeof(float);
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

    arguments.pool->forRange(batch.sequences, 1, [&](int64_t begin, int64_t end) {
      for (int64_t s = begin; s < end; ++s) writeSequence(arguments, batch, s);
    });
    // Few units, as of one long sequence: its segments are units too.
    const bool split = splits_ && countUnits(arguments, batch, false) < 2 * threads_;
    const int64_t units = countUnits(arguments, batch, split);
    const auto* firstUnits = static_cast<const int64_t*>(arguments.workspace);
    std::atomic<int64_t> next = 0;
    arguments.pool->run(static_cast<int>(std::min<int64_t>(threads_, units)), [&](int part) {
      const Scratch mine = scratchOf(arguments, part);
      for (int64_t unit = next++; unit < units; unit = next++) {
        const int64_t* after = std::upper_bound(firstUnits, firstUnits + batch.sequences, unit);
        const int64_t s = after - firstUnits - 1;
        int64_t rest = unit - firstUnits[s], segment = -1;
        if (split) {
          segment = rest % segmentsOf(batch.lengths[s]);
          rest /= segmentsOf(batch.lengths[s]);
        }
        attend(arguments, batch,
               {s, rest / batch.kvHeads * queriesOfUnit_, rest % batch.kvHeads, segment}, mine);
      }
    });
    if (!split) return;
    arguments.pool->forRange(batch.sequences, 1, [&](int64_t begin, int64_t end) {
      for (int64_t s = begin; s < end; ++s) mergeSequence(arguments, batch, s);
    });
  }

 private:
  struct Scratch {
    float *scores, *out, *maxima, *sums, *factors, *block;
    float *allOut, *allMaxima, *allSums;  // over the segments so far

    static constexpr int64_t kPadded = 16;
    static int64_t padded(int64_t count) { return (count + kPadded - 1) / kPadded * kPadded; }
    static int64_t floats(int64_t rows, int64_t size) {
      return rows * kKeysOfPart + 2 * padded(rows * size) + 5 * padded(rows) +
             padded(kKeysOfPart * size);
    }
    Scratch(std::byte* memory, int64_t rows, int64_t size)
        : scores(reinterpret_cast<float*>(memory)),
          out(scores + rows * kKeysOfPart),
          maxima(out + padded(rows * size)),
          sums(maxima + padded(rows)),
          factors(sums + padded(rows)),
          block(factors + padded(rows)),
          allOut(block + padded(kKeysOfPart * size)),
          allMaxima(allOut + padded(rows * size)),
          allSums(allMaxima + padded(rows)) {}
    Partial segment(int64_t row, int64_t size) const {
      return {out + row * size, maxima + row, sums + row};
    }
    Partial all(int64_t row, int64_t size) const {
      return {allOut + row * size, allMaxima + row, allSums + row};
    }
  };

  // Some rows of a sequence from row `first` on, of the heads that read `kvHead`, over one segment
  // of keys or, -1, all of them.
  struct Unit {
    int64_t sequence, first, kvHead, segment;
  };

  int64_t partialFloats() const { return batch_.size + 2; }
  Scratch scratchOf(const RunArguments& arguments, int part) const {
    auto* memory = static_cast<std::byte*>(arguments.workspace) + unitBytes();
    return {memory + static_cast<size_t>(part) * scratchBytes(), rows_, batch_.size};
  }
  // Of a row and head over one segment, where units are split.
  Partial partialOf(const RunArguments& arguments, int64_t row, int64_t head,
                    int64_t segment) const {
    auto* memory = static_cast<std::byte*>(arguments.workspace) + unitBytes() +
                   static_cast<size_t>(threads_) * scratchBytes();
    float* out = reinterpret_cast<float*>(memory) +
                 ((row * batch_.heads + head) * mostSegments_ + segment) * partialFloats();
    return {out, out + batch_.size, out + batch_.size + 1};
  }

  // Writes the first unit of each sequence into the workspace.
  int64_t countUnits(const RunArguments& arguments, const PagedBatch& batch, bool split) const {
    auto* firstUnits = static_cast<int64_t*>(arguments.workspace);
    int64_t units = 0;
    for (int64_t s = 0; s < batch.sequences; ++s) {
      firstUnits[s] = units;
      if (batch.rowsOf(s) == 0) continue;
      const int64_t segments = split ? segmentsOf(batch.lengths[s]) : 1;
      units += (batch.rowsOf(s) + queriesOfUnit_ - 1) / queriesOfUnit_ * batch.kvHeads * segments;
    }
    return units;
  }

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

  // The rows' softmax over the keys [begin, end), head after head, into the scratch.
  void attendSegment(const RunArguments& arguments, const PagedBatch& batch, const Unit& unit,
                     int64_t queries, int64_t begin, int64_t end, const Scratch& scratch) const {
    const int64_t size = batch.size, rowStride = batch.heads * size, rows = queries * shared_;
    const int64_t s = unit.sequence, seen = batch.positionOf(s, unit.first) + 1;
    const float* q = static_cast<const float*>(input(arguments, kQueries)) +
                     (batch.starts[s] + unit.first) * rowStride + unit.kvHead * shared_ * size;
    std::fill_n(scratch.out, rows * size, 0.0f);
    std::fill_n(scratch.maxima, rows, -std::numeric_limits<float>::infinity());
    std::fill_n(scratch.sums, rows, 0.0f);
    for (int64_t key = begin; key < end; key += kKeysOfPart) {
      const int64_t last = std::min(key + kKeysOfPart, end);
      forParts(arguments, batch, s, 0, unit.kvHead, key, last, scratch.block,
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
                  .columnsLimit = last - key,
                  .paddedColumns = Scratch::padded(last - key),
                  .maxima = scratch.maxima + head * queries,
                  .sums = scratch.sums + head * queries,
                  .factors = scratch.factors + head * queries});
      forParts(arguments, batch, s, 1, unit.kvHead, key, last, scratch.block,
               [&](int64_t column, int64_t keys, const float* block) {
                 loops_.mix({rows, keys, size, block, scratch.scores + column, kKeysOfPart},
                            scratch.factors, scratch.out);
                 if (column + keys < last - key) std::fill_n(scratch.factors, rows, 1.0f);
               });
    }
  }

  void attend(const RunArguments& arguments, const PagedBatch& batch, const Unit& unit,
              const Scratch& scratch) const {
    const int64_t size = batch.size, row = batch.starts[unit.sequence] + unit.first;
    const int64_t queries = std::min(queriesOfUnit_, batch.rowsOf(unit.sequence) - unit.first);
    const int64_t keys = batch.positionOf(unit.sequence, unit.first) + queries;
    // Calls body(row of the unit, row of the batch, head).
    auto forRows = [&](auto body) {
      for (int64_t head = 0; head < shared_; ++head)
        for (int64_t query = 0; query < queries; ++query)
          body(head * queries + query, row + query, unit.kvHead * shared_ + head);
    };
    if (unit.segment >= 0) {
      const int64_t begin = unit.segment * kKeysOfSegment;
      attendSegment(arguments, batch, unit, queries, begin, std::min(begin + kKeysOfSegment, keys),
                    scratch);
      forRows([&](int64_t mine, int64_t of, int64_t head) {
        const Partial to = partialOf(arguments, of, head, unit.segment);
        *to.sum = 0;
        merge(softmax_, to, scratch.segment(mine, size), size);
      });
      return;
    }
    std::fill_n(scratch.allSums, rows_, 0.0f);
    for (int64_t begin = 0; begin < keys; begin += kKeysOfSegment) {
      attendSegment(arguments, batch, unit, queries, begin, std::min(begin + kKeysOfSegment, keys),
                    scratch);
      forRows([&](int64_t mine, int64_t, int64_t) {
        merge(softmax_, scratch.all(mine, size), scratch.segment(mine, size), size);
      });
    }
    forRows([&](int64_t mine, int64_t of, int64_t head) {
      finish(arguments, scratch.all(mine, size), of, head);
    });
  }

  // What segments gave of a sequence's rows.
  void mergeSequence(const RunArguments& arguments, const PagedBatch& batch, int64_t s) const {
    for (int64_t row = batch.starts[s]; row < batch.starts[s + 1]; ++row)
      for (int64_t head = 0; head < batch.heads; ++head) {
        const Partial all = partialOf(arguments, row, head, 0);
        for (int64_t segment = 1; segment < segmentsOf(batch.lengths[s]); ++segment)
          merge(softmax_, all, partialOf(arguments, row, head, segment), batch.size);
        finish(arguments, all, row, head);
      }
  }

  void finish(const RunArguments& arguments, const Partial& all, int64_t row, int64_t head) const {
    loops_.finish(
        all.out, *all.sum, batch_.size,
        static_cast<float*>(arguments.outputs[kMixed]) + (row * batch_.heads + head) * batch_.size);
  }

  const PagedLoops& loops_;
  SoftmaxRows softmax_;
  DType cacheType_;
  int threads_;
  std::array<size_t, kInputs> positions_{};
  PagedBatch batch_;
  int64_t shared_ = 1, queriesOfUnit_ = 1, rows_ = 1, mostSegments_ = 1;
  bool splits_ = false;
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
    if (std::string why = whyNotFixed(step.desc(kQueries).shape, step.desc(kCache).shape, kMaxSize);
        !why.empty())
      return Refusal{std::move(why)};
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
