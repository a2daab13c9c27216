#include <carnot/error.h>
#include <fmt/core.h>

#include <algorithm>
#include <limits>

#include "base/threads.h"
#include "codegen/cpu/softmax_rows.h"
#include "kernels/attention_problem.h"
#include "kernels/cpu/anchored.h"
#include "kernels/cpu/copy_tiles.h"
#include "kernels/cpu/tile_kernels.h"
#include "ops/attention.h"

namespace carnot {
namespace {

constexpr int64_t kKeysOfBlock = 512;                // whose scores are held at once
constexpr int64_t kScoreStride = kKeysOfBlock + 16;  // floats; not a multiple of a page
constexpr int64_t kMaxSize = 1 << 16;                // of a query, key or value
constexpr int kScoreVectors = 2;                     // of keys in a tile

struct Analysis : AttentionProblem {
  SoftmaxRowsSpec::Mask mask = SoftmaxRowsSpec::Mask::None;
};

std::variant<Refusal, Analysis> analyze(const Problem& problem) {
  if (!problem.device.isa.has(Isa::Avx2)) return Refusal{"is generated for AVX2 and AVX-512"};
  auto read = readAttention(problem, kMaxSize);
  if (auto* refusal = std::get_if<Refusal>(&read)) return *refusal;
  Analysis out{std::get<AttentionProblem>(read)};
  if (problem.inputs[static_cast<size_t>(out.inputs[0])].dtype != DType::F32)
    return Refusal{"attends in float32"};
  if (out.inputs[3] < 0) return out;
  const TensorDesc& mask = problem.inputs[static_cast<size_t>(out.inputs[3])];
  if (mask.dtype == DType::F32)
    out.mask = SoftmaxRowsSpec::Mask::Add;
  else if (mask.dtype == DType::Bool)
    out.mask = SoftmaxRowsSpec::Mask::Keep;
  else
    return Refusal{fmt::format("masks by float32 or Bool, not {}", dtypeName(mask.dtype))};
  auto dim = [&](size_t operand, size_t axis) {
    return problem.inputs[static_cast<size_t>(out.inputs[operand])]
        .shape[static_cast<size_t>(out.axes[operand][axis])];
  };
  const auto variation = variationOf(mask.shape, {dim(0, 0), dim(0, 1), dim(0, 2), dim(1, 2)});
  if (variation.empty() || variation[3] == Along::Fixed)
    return Refusal{
        fmt::format("a mask {} does not vary along the keys for certain", mask.shape.toString())};
  return out;
}

class BoundAttention;

class AttentionExecutable : public Executable {
 public:
  AttentionExecutable(const BoundAttention& owner, const ConcreteShapes& shapes);
  size_t workspaceBytes() const override;
  void run(const RunArguments& arguments) const override;

 private:
  enum Stage { Only, First, Middle, Last, kStages };
  // The code for blocks of `rows` queries.
  struct Block {
    RowTiles scoreTiles, valueTiles;
    const Brgemm* score[kScoreVectors + 1][2] = {};  // by vectors, small tile
    const Brgemm* value[kStages][2][2] = {};         // by stage, narrow last panel, small tile
  };
  // What a thread works in.
  struct Scratch {
    float *keys, *values, *scores, *maxima, *sums, *factors, *inverses;
  };

  // What comes next, to be fetched into the second cache meanwhile: heads lie in pieces too short
  // for the processor to foresee the next. Of the next head's keys and values a share of the rows.
  struct Ahead {
    const float *keys = nullptr, *values = nullptr;
    Range rows;
    const float* queries = nullptr;
    float* out = nullptr;
    int64_t queryRows = 0;
  };

  void makeBlock(int64_t rows, Block& block) const;
  int64_t scratchFloats() const {
    return keyFloats_ + valueFloats_ + blocks_.size * (kScoreStride + 4);
  }
  void runPart(const RunArguments& arguments, int part) const;
  void packKeys(const float* keys, float* out) const;
  const float* gatherValues(const float* values, float* out) const;
  void runBlock(const RunArguments& arguments, int64_t plane, int64_t query, int64_t rows,
                const float* values, const Block& block, const Scratch& scratch,
                const Ahead& ahead) const;
  void score(const Block& block, const float* q, const Scratch& scratch, Range keys,
             int64_t visible, const Ahead* ahead) const;
  void fetch(const Ahead& ahead, int64_t step, int64_t steps) const;
  int64_t keyPlaneOf(int64_t plane) const {
    return plane / heads_ * keyHeads_ + plane % heads_ / (heads_ / keyHeads_);
  }
  void mix(const Block& block, Stage stage, const float* v, int64_t keys, float* out,
           const Scratch& scratch) const;
  int64_t panelKeys() const { return int64_t{kScoreVectors} * lanes_; }
  // Keys that a query sees, before clamping.
  int64_t visible(int64_t query) const {
    if (causal_ == Causal::None) return keys_;
    return query + 1 + (causal_ == Causal::FromEnd ? keys_ - queries_ : 0);
  }

  const BoundAttention& owner_;
  const CopyTiles& tiles_;
  const Causal causal_;
  const int64_t lanes_, size_, valueSize_;
  AttentionPlace q_, k_, v_, out_;
  int64_t heads_ = 0, keyHeads_ = 0, planes_ = 0, queries_ = 0, keys_ = 0;
  int64_t keyFloats_ = 0, valueFloats_ = 0;  // packed, of one head
  int64_t maskStrides_[3] = {};              // bytes, by batch, head and query
  int parts_ = 1;
  RowTiles blocks_;  // of a plane's queries
  Block large_, small_;
};

class BoundAttention : public BoundKernel {
 public:
  explicit BoundAttention(const BindArguments& arguments)
      : stored_(decodeProblem(arguments.parameters, arguments.device)),
        analysis_(analyzed()),
        softmax_({.isa = stored_.problem.device.isa,
                  .scale = static_cast<float>(analysis_.scale),
                  .mask = analysis_.mask}) {
    queries_ = static_cast<int>(parameter(stored_.configuration, "queries", 1, 256));
    const std::vector<int> present = presentInputs(stored_.problem);
    for (size_t i = 0; i < 4; ++i)
      if (analysis_.inputs[i] >= 0) positions_[i] = positionOf(present, analysis_.inputs[i]);
    ScalarBuilder builder;
    ScalarValue scaled = builder.input(0, DType::F32) * builder.input(1, DType::F32);
    normalize_ = std::move(builder).finish({&scaled, 1});
  }

  std::unique_ptr<Executable> specialize(const ConcreteShapes& shapes) const override {
    concreteTypes(stored_, presentInputs(stored_.problem), shapes);
    return std::make_unique<AttentionExecutable>(*this, shapes);
  }

 private:
  friend class AttentionExecutable;
  Analysis analyzed() const {
    auto analysis = analyze(stored_.problem);
    if (auto* refusal = std::get_if<Refusal>(&analysis)) throwBadParameters(refusal->reason);
    return std::get<Analysis>(analysis);
  }
  // Values lie as a panel of B does when they fill whole vectors that one tile holds.
  bool packedValues() const {
    return analysis_.valueSize % lanes() == 0 &&
           analysis_.valueSize / lanes() <= (lanes() == 16 ? 4 : 2);
  }
  int valueVectors() const {
    return static_cast<int>(
        packedValues() ? analysis_.valueSize / lanes()
                       : std::min<int64_t>(2, (analysis_.valueSize + lanes() - 1) / lanes()));
  }
  int lanes() const { return stored_.problem.device.floatLanes(); }

  StoredProblem stored_;
  Analysis analysis_;
  SoftmaxRows softmax_;
  ScalarProgram normalize_;
  int queries_ = 1;
  size_t positions_[4] = {};  // of q, k, v and the mask among the inputs of a run
  BrgemmKernels kernels_;
};

AttentionExecutable::AttentionExecutable(const BoundAttention& owner, const ConcreteShapes& shapes)
    : owner_(owner),
      tiles_(owner.lanes() == 16 ? copyTilesAvx512() : copyTilesAvx2()),
      causal_(owner.analysis_.causal),
      lanes_(owner.lanes()),
      size_(owner.analysis_.size),
      valueSize_(owner.analysis_.valueSize) {
  const Analysis& analysis = owner.analysis_;
  auto place = [&](size_t i) {
    return AttentionPlace(analysis.axes[i], shapes.inputs[owner.positions_[i]]);
  };
  q_ = place(0), k_ = place(1), v_ = place(2);
  out_ = AttentionPlace(analysis.axes[3], shapes.outputs[0]);
  heads_ = q_.heads;
  keyHeads_ = k_.heads;
  planes_ = q_.batches * q_.heads;
  queries_ = q_.length;
  keys_ = k_.length;
  if (planes_ * queries_ == 0) return;
  if (analysis.inputs[3] >= 0) {
    const std::vector<int64_t>& mask = shapes.inputs[owner.positions_[3]];
    int64_t stride = owner.analysis_.mask == SoftmaxRowsSpec::Mask::Keep ? 1 : 4;
    for (size_t i = mask.size(); i-- > 0; stride *= mask[i]) {
      const size_t axis = 4 - mask.size() + i;
      if (axis < 3 && mask[i] != 1) maskStrides_[axis] = stride;
    }
  }
  keyFloats_ = (keys_ + lanes_ - 1) / lanes_ * lanes_ * size_;
  valueFloats_ = v_.rowStride == valueSize_ ? 0 : (keys_ * valueSize_ + 15) / 16 * 16;
  parts_ = std::max(1, owner.stored_.problem.device.threads);
  // Every thread gets a block, if that leaves tiles of a few rows.
  const int64_t wanted = (parts_ + planes_ - 1) / planes_;
  const int64_t most = std::clamp<int64_t>((queries_ + wanted - 1) / wanted,
                                           std::min(8, owner.queries_), owner.queries_);
  blocks_ = rowTiles(queries_, static_cast<int>(most));
  if (blocks_.large) makeBlock(blocks_.size, large_);
  if (blocks_.small) makeBlock(blocks_.size - 1, small_);
}

void AttentionExecutable::makeBlock(int64_t rows, Block& block) const {
  const int lanes = owner_.lanes(), valueVectors = owner_.valueVectors();
  const bool packed = owner_.packedValues();
  block.scoreTiles = rowTiles(rows, lanes == 16 ? 14 : 6);
  block.valueTiles = rowTiles(rows, std::min(14, BrgemmSpec::maxRows(lanes, valueVectors, packed)));
  const int64_t keyBlocks = std::max<int64_t>(1, (keys_ + kKeysOfBlock - 1) / kKeysOfBlock);
  for (int small = 0; small < 2; ++small) {
    auto exists = [&](const RowTiles& tiles) { return (small ? tiles.small : tiles.large) > 0; };
    BrgemmSpec spec;
    spec.isa = owner_.stored_.problem.device.isa;
    spec.k = static_cast<int>(size_);
    spec.aRowStride = q_.rowStride * 4;
    spec.tile.rows = block.scoreTiles.size - small;
    for (int vectors = 1; vectors <= kScoreVectors && exists(block.scoreTiles); ++vectors) {
      spec.tile.vectors = vectors;
      block.score[vectors][small] = &owner_.kernels_.get(spec);
    }
    if (!exists(block.valueTiles)) continue;
    spec.k = 0;
    spec.aRowStride = kScoreStride * 4;
    spec.packedB = packed;
    spec.tile.rows = block.valueTiles.size - small;
    for (int stage = 0; stage < kStages; ++stage) {
      if (keyBlocks == 1 && stage != Only) continue;
      const bool last = stage == Only || stage == Last;
      spec.tile.accumulate = stage == Middle || stage == Last;
      spec.tile.epilogue = last ? owner_.normalize_ : ScalarProgram{};
      spec.tile.operands.assign(last ? 1 : 0, EpilogueOperand::Row);
      for (int narrow = 0; narrow < 2; ++narrow) {
        const int64_t panels = (valueSize_ + valueVectors * lanes - 1) / (valueVectors * lanes);
        const int64_t columns = narrow
                                    ? valueSize_ - (panels - 1) * valueVectors * lanes
                                    : std::min<int64_t>(valueSize_, int64_t{valueVectors} * lanes);
        spec.tile.vectors = static_cast<int>((columns + lanes - 1) / lanes);
        spec.tile.maskLast = columns % lanes != 0;
        block.value[stage][narrow][small] = &owner_.kernels_.get(spec);
      }
    }
  }
}

size_t AttentionExecutable::workspaceBytes() const {
  return static_cast<size_t>(parts_ * scratchFloats()) * sizeof(float);
}

void AttentionExecutable::run(const RunArguments& arguments) const {
  if (planes_ * queries_ == 0) return;
  arguments.pool->run(parts_, [&](int part) { runPart(arguments, part); });
}

void AttentionExecutable::runPart(const RunArguments& arguments, int part) const {
  const Range units = partOf(planes_ * blocks_.count(), part, parts_);
  float* memory = static_cast<float*>(arguments.workspace) + part * scratchFloats();
  Scratch scratch;
  scratch.keys = memory;
  scratch.values = scratch.keys + keyFloats_;
  scratch.scores = scratch.values + valueFloats_;
  scratch.maxima = scratch.scores + blocks_.size * kScoreStride;
  scratch.sums = scratch.maxima + blocks_.size;
  scratch.factors = scratch.sums + blocks_.size;
  scratch.inverses = scratch.factors + blocks_.size;
  int64_t packedPlane = -1;
  const float* values = nullptr;
  for (int64_t unit = units.begin; unit < units.end; ++unit) {
    const int64_t plane = unit / blocks_.count(), index = unit % blocks_.count();
    const int64_t keyPlane = keyPlaneOf(plane);
    auto of = [&](size_t i, const AttentionPlace& place, int64_t key) {
      return static_cast<const float*>(arguments.inputs[owner_.positions_[i]]) +
             place.offset(key / keyHeads_, key % keyHeads_, 0);
    };
    if (keyPlane != packedPlane) {
      packKeys(of(1, k_, keyPlane), scratch.keys);
      values = gatherValues(of(2, v_, keyPlane), scratch.values);
    }
    packedPlane = keyPlane;
    Ahead ahead;
    if (unit + 1 < units.end) {
      const int64_t next = (unit + 1) / blocks_.count(), place = (unit + 1) % blocks_.count();
      const int64_t row = blocks_.firstRow(place);
      ahead.queries = static_cast<const float*>(arguments.inputs[owner_.positions_[0]]) +
                      q_.offset(next / heads_, next % heads_, row);
      ahead.out = static_cast<float*>(arguments.outputs[0]) +
                  out_.offset(next / heads_, next % heads_, row);
      ahead.queryRows = blocks_.firstRow(place + 1) - row;
    }
    if ((plane + 1) * blocks_.count() < units.end && keyPlaneOf(plane + 1) != keyPlane) {
      ahead.keys = of(1, k_, keyPlaneOf(plane + 1));
      ahead.values = of(2, v_, keyPlaneOf(plane + 1));
      ahead.rows = partOf(keys_, index, blocks_.count());
    }
    const int64_t query = blocks_.firstRow(index), rows = blocks_.firstRow(index + 1) - query;
    runBlock(arguments, plane, query, rows, values, index < blocks_.large ? large_ : small_,
             scratch, ahead);
  }
}

void AttentionExecutable::packKeys(const float* keys, float* out) const {
  for (int64_t key = 0; key < keys_; key += panelKeys()) {
    const int64_t columns = std::min(panelKeys(), keys_ - key);
    const int64_t width = (columns + lanes_ - 1) / lanes_ * lanes_;
    float* panel = out + key * size_;
    tiles_.transpose[2]({.from = reinterpret_cast<const char*>(keys + key * k_.rowStride),
                         .to = reinterpret_cast<char*>(panel),
                         .rows = size_,
                         .columns = columns,
                         .fromRow = 4,
                         .fromColumn = k_.rowStride * 4,
                         .toRow = width * 4,
                         .toColumn = 4});
    for (int64_t i = 0; i < size_ && columns < width; ++i)
      std::fill(panel + i * width + columns, panel + (i + 1) * width, 0.0f);
  }
}

// The values as rows without gaps: as they lie, or copied.
const float* AttentionExecutable::gatherValues(const float* values, float* out) const {
  if (valueFloats_ == 0) return values;
  for (int64_t key = 0; key < keys_; ++key)
    std::copy_n(values + key * v_.rowStride, valueSize_, out + key * valueSize_);
  return out;
}

// The `step`-th of so many shares.
void AttentionExecutable::fetch(const Ahead& ahead, int64_t step, int64_t steps) const {
  auto rowAt = [](const float* row, int64_t floats) {
    for (int64_t i = 0; i < floats; i += 16) __builtin_prefetch(row + i, 0, 2);
  };
  const Range keys = partOf(ahead.rows.size(), step, steps);
  for (int64_t row = ahead.rows.begin + keys.begin; row < ahead.rows.begin + keys.end; ++row) {
    rowAt(ahead.keys + row * k_.rowStride, size_);
    rowAt(ahead.values + row * v_.rowStride, valueSize_);
  }
  const Range queries = partOf(ahead.queryRows, step, steps);
  for (int64_t row = queries.begin; row < queries.end; ++row) {
    rowAt(ahead.queries + row * q_.rowStride, size_);
    rowAt(ahead.out + row * out_.rowStride, valueSize_);
  }
}

// Scores of the block's queries with the first `visible` of `keys`.
void AttentionExecutable::score(const Block& block, const float* q, const Scratch& scratch,
                                Range keys, int64_t visible, const Ahead* ahead) const {
  const int64_t zero = 0;
  void* to = nullptr;
  BrgemmArguments tile{
      .c = {.pointers = &to, .rowStride = kScoreStride * 4, .vectorStride = lanes_ * 4},
      .tapOffsets = &zero};
  for (int64_t column = 0; column < visible; column += panelKeys()) {
    const int64_t key = keys.begin + column;
    const int64_t vectors = (std::min(panelKeys(), keys_ - key) + lanes_ - 1) / lanes_;
    tile.b = scratch.keys + key * size_;
    if (ahead) fetch(*ahead, column / panelKeys(), (visible + panelKeys() - 1) / panelKeys());
    for (int small = 0; small < 2; ++small) {
      const RowTiles& tiles = block.scoreTiles;
      tile.c.tiles = small ? tiles.small : tiles.large;
      if (tile.c.tiles == 0) continue;
      const int64_t row = small ? tiles.firstRow(tiles.large) : 0;
      tile.a = q + row * q_.rowStride;
      to = scratch.scores + row * kScoreStride + column;
      (*block.score[vectors][small])(tile);
    }
  }
}

// out (+)= exponentials · values, normalized at the end.
void AttentionExecutable::mix(const Block& block, Stage stage, const float* v, int64_t keys,
                              float* out, const Scratch& scratch) const {
  const int64_t zero = 0, width = owner_.valueVectors() * lanes_;
  void* pointers[2];
  BrgemmArguments tile{.c = {.pointers = pointers,
                             .rowStride = out_.rowStride * 4,
                             .vectorStride = lanes_ * 4,
                             .rowOperandStride = 4,
                             .tailLanes = (valueSize_ - 1) % lanes_ + 1},
                       .tapOffsets = &zero,
                       .k = keys,
                       .bRowStride = valueSize_ * 4};
  for (int64_t column = 0; column < valueSize_; column += width) {
    tile.b = v + column;
    for (int small = 0; small < 2; ++small) {
      const RowTiles& tiles = block.valueTiles;
      tile.c.tiles = small ? tiles.small : tiles.large;
      if (tile.c.tiles == 0) continue;
      const int64_t row = small ? tiles.firstRow(tiles.large) : 0;
      tile.a = scratch.scores + row * kScoreStride;
      pointers[0] = out + row * out_.rowStride + column;
      pointers[1] = scratch.inverses + row;
      (*block.value[stage][column + width >= valueSize_][small])(tile);
    }
  }
}

void AttentionExecutable::runBlock(const RunArguments& arguments, int64_t plane, int64_t query,
                                   int64_t rows, const float* values, const Block& block,
                                   const Scratch& scratch, const Ahead& ahead) const {
  const int64_t batch = plane / heads_, head = plane % heads_;
  const float* q = static_cast<const float*>(arguments.inputs[owner_.positions_[0]]) +
                   q_.offset(batch, head, query);
  float* out = static_cast<float*>(arguments.outputs[0]) + out_.offset(batch, head, query);
  const int64_t most = std::clamp<int64_t>(visible(query + rows - 1), 0, keys_);
  if (most == 0) {
    for (int64_t row = 0; row < rows; ++row)
      std::fill_n(out + row * out_.rowStride, valueSize_, 0.0f);
    return;
  }
  std::fill_n(scratch.maxima, rows, -std::numeric_limits<float>::infinity());
  std::fill_n(scratch.sums, rows, 0.0f);
  SoftmaxRowsArguments softmax{.scores = scratch.scores,
                               .rowStride = kScoreStride * 4,
                               .rows = rows,
                               .columnsStep = causal_ == Causal::None ? 0 : 1,
                               .maskRowStride = maskStrides_[2],
                               .maxima = scratch.maxima,
                               .sums = scratch.sums,
                               .factors = scratch.factors};
  const int64_t maskBytes = owner_.analysis_.mask == SoftmaxRowsSpec::Mask::Keep ? 1 : 4;
  for (int64_t key = 0; key < most; key += kKeysOfBlock) {
    const Range keys{key, std::min(key + kKeysOfBlock, most)};
    const bool last = keys.end == most;
    score(block, q, scratch, keys, keys.size(), key == 0 ? &ahead : nullptr);
    softmax.columns = visible(query) - key;
    softmax.columnsLimit = keys.size();
    softmax.paddedColumns = (keys.size() + lanes_ - 1) / lanes_ * lanes_;
    if (owner_.analysis_.mask != SoftmaxRowsSpec::Mask::None)
      softmax.mask = static_cast<const char*>(arguments.inputs[owner_.positions_[3]]) +
                     batch * maskStrides_[0] + head * maskStrides_[1] + query * maskStrides_[2] +
                     key * maskBytes;
    owner_.softmax_(softmax);
    if (last)
      for (int64_t row = 0; row < rows; ++row)
        scratch.inverses[row] = scratch.sums[row] > 0 ? 1 / scratch.sums[row] : 0;
    if (key > 0)
      for (int64_t row = 0; row < rows; ++row)
        for (int64_t i = 0; i < valueSize_; ++i)
          out[row * out_.rowStride + i] *= scratch.factors[row];
    const Stage stage = key == 0 ? (last ? Only : First) : last ? Last : Middle;
    mix(block, stage, values + key * valueSize_, keys.size(), out, scratch);
  }
}

// Attention by blocks of queries and of keys with a running softmax (Dao and others,
// "FlashAttention").
class AttentionTiled : public Kernel {
 public:
  std::string_view name() const override { return "cpu/attention/tiled"; }

  Support supports(const Problem& problem) const override {
    auto analysis = analyze(problem);
    if (auto* refusal = std::get_if<Refusal>(&analysis)) return *refusal;
    std::vector<Configuration> configurations;
    for (int64_t queries : problem.device.floatLanes() == 16 ? std::vector<int64_t>{56, 28}
                                                             : std::vector<int64_t>{48, 24})
      configurations.push_back({{{"queries", queries}},
                                plainLayouts(problem.inputs.size()),
                                plainLayouts(problem.outputs.size())});
    return configurations;
  }

  Prepared prepare(const Problem& problem, const Configuration& configuration) const override {
    return {encodeProblem(problem, configuration), {}, presentInputs(problem)};
  }

  std::unique_ptr<BoundKernel> bind(const BindArguments& arguments) const override {
    return std::make_unique<BoundAttention>(arguments);
  }
};

}  // namespace

const Kernel& attentionTiled() {
  static const AttentionTiled kernel;
  return kernel;
}

}  // namespace carnot
