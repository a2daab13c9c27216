#include <algorithm>

#include "base/threads.h"
#include "kernels/cpu/matmul_problem.h"
#include "kernels/cpu/pack_panels.h"
#include "kernels/cpu/tile_kernels.h"
#include "kernels/cpu/tile_pointers.h"

namespace carnot {
namespace {

constexpr int64_t kCopyK = 256;                // of a block of A that is copied
constexpr int64_t kDirectK = 1024;             // of a block of A that is read in place
constexpr int64_t kMaxDirectStride = 1 << 24;  // floats between rows of A that code can hold
constexpr int64_t kPadding = 16;               // floats between the rows of a copied block of A
constexpr int64_t kRowsOfBlock = 112;

std::variant<Refusal, MatMulProblem> analyze(const Problem& problem) {
  if (!problem.device.isa.has(Isa::Avx2)) return Refusal{"is generated for AVX2 and AVX-512"};
  return matMulProblem(problem);
}

class BoundBatched;

class BatchedExecutable : public Executable {
 public:
  BatchedExecutable(const BoundBatched& owner, const std::vector<TensorType>& types);
  size_t workspaceBytes() const override;
  void run(const RunArguments& arguments) const override;

 private:
  enum Stage { Only, First, Middle, Last, kStages };
  struct Panel {
    int64_t column, columns, width;
  };

  void choosePartition(int threads);
  void chooseBlocks(size_t l2Bytes);
  void makeKernels();
  void runPart(const RunArguments& arguments, int part) const;
  void runMatrix(const float* a, const float* b, TilePointers& pointers, Range tiles, Range panels,
                 float* workspace) const;
  const float* copyA(const float* a, Range rows, Range ks, float* to) const;
  TilePointers pointersOf(const RunArguments& arguments, int64_t matrix) const;
  Panel panelAt(int64_t panel) const {
    const int64_t column = panel * vectors_ * lanes_;
    const int64_t columns = std::min(n_ - column, vectors_ * lanes_);
    return {column, columns, (columns + lanes_ - 1) / lanes_ * lanes_};
  }
  int64_t bFloats() const { return packB_ ? kStep_ * panelsOfBlock_ * vectors_ * lanes_ : 0; }
  int64_t aFloats() const { return copyA_ ? tilesOfBlock_ * tiles_.size * (kCopyK + kPadding) : 0; }

  const BoundBatched& owner_;
  int64_t m_ = 1, n_ = 0, k_ = 0, lanes_, vectors_;
  std::vector<int64_t> aOffsets_, bOffsets_;
  std::vector<std::vector<int64_t>> operandOffsets_;
  bool copyA_ = false, packB_ = false;
  RowTiles tiles_;
  int64_t panels_ = 0;
  int batchParts_ = 1, rowParts_ = 1, columnParts_ = 1;
  int64_t kStep_ = 1, tilesOfBlock_ = 1, panelsOfBlock_ = 1;
  const Brgemm* kernels_[kStages][2][2] = {};  // by stage, narrow last panel, small tile
};

class BoundBatched : public BoundKernel {
 public:
  explicit BoundBatched(const BindArguments& arguments)
      : stored_(decodeProblem(arguments.parameters, arguments.device)) {
    auto analysis = analyze(stored_.problem);
    if (auto* refusal = std::get_if<Refusal>(&analysis)) throwBadParameters(refusal->reason);
    analysis_ = std::get<MatMulProblem>(std::move(analysis));
    const int lanes = stored_.problem.device.floatLanes();
    vectors_ = static_cast<int>(parameter(stored_.configuration, "vectors", 1, 4));
    rows_ = static_cast<int>(
        parameter(stored_.configuration, "rows", 1, BrgemmSpec::maxRows(lanes, vectors_, false)));
    inputs_ = presentInputs(stored_.problem);
  }

  std::unique_ptr<Executable> specialize(const ConcreteShapes& shapes) const override {
    return std::make_unique<BatchedExecutable>(*this, concreteTypes(stored_, inputs_, shapes));
  }

 private:
  friend class BatchedExecutable;

  StoredProblem stored_;
  MatMulProblem analysis_;
  int vectors_ = 1, rows_ = 1;
  std::vector<int> inputs_;
  BrgemmKernels kernels_;
};

BatchedExecutable::BatchedExecutable(const BoundBatched& owner,
                                     const std::vector<TensorType>& types)
    : owner_(owner), lanes_(owner.stored_.problem.device.floatLanes()), vectors_(owner.vectors_) {
  const MatMulProblem& analysis = owner.analysis_;
  MatMulShapes shapes = analysis.shapesOf(types);
  m_ = shapes.m;
  n_ = shapes.n;
  k_ = shapes.k;
  aOffsets_ = std::move(shapes.aOffsets);
  bOffsets_ = std::move(shapes.bOffsets);
  operandOffsets_ = std::move(shapes.operandOffsets);
  tiles_ = rowTiles(m_, owner.rows_);
  panels_ = (n_ + vectors_ * lanes_ - 1) / (vectors_ * lanes_);
  if (aOffsets_.empty() || m_ == 0 || n_ == 0) return;
  copyA_ =
      analysis.transposeA || analysis.staticK < 1 || analysis.staticK > kMaxDirectStride ||
      (rowsShareSets(k_ * 4, tiles_.size, owner.stored_.problem.device.l1Bytes) && panels_ > 2);
  // A block of B that few tiles read is not worth copying.
  packB_ = analysis.transposeB || tiles_.count() > 2;
  const DeviceTraits& device = owner.stored_.problem.device;
  choosePartition(std::max(1, device.threads));
  chooseBlocks(device.l2Bytes);
  makeKernels();
}

void BatchedExecutable::choosePartition(int threads) {
  auto share = [](int64_t count, int parts) {
    return static_cast<double>((count + parts - 1) / parts);
  };
  const double k = static_cast<double>(k_), width = static_cast<double>(vectors_ * lanes_);
  double best = 0;
  for (int batch = 1; batch <= threads; ++batch)
    for (int column = 1; column <= threads / batch; ++column)
      for (int row : {1, threads / (batch * column)}) {
        const double tiles = share(tiles_.count(), row), panels = share(panels_, column);
        double cycles = tiles * panels * (k * std::max(tiles_.size * vectors_ / 2.0, 4.0) + 60);
        if (packB_) cycles += panels * width * k / (owner_.analysis_.transposeB ? 2 : 8);
        if (copyA_) cycles += tiles * tiles_.size * k / (owner_.analysis_.transposeA ? 2 : 8);
        cycles *= share(static_cast<int64_t>(aOffsets_.size()), batch);
        if (batch * column * row > 1) cycles += 8000;
        if (best != 0 && cycles >= best) continue;
        best = cycles;
        batchParts_ = batch;
        columnParts_ = column;
        rowParts_ = row;
      }
}

void BatchedExecutable::chooseBlocks(size_t l2Bytes) {
  const int64_t most = copyA_ ? kCopyK : kDirectK;
  const int64_t blocks = std::max<int64_t>(1, (k_ + most - 1) / most);
  kStep_ = std::clamp<int64_t>((k_ + blocks - 1) / blocks, 1, most);
  const int64_t share = static_cast<int64_t>(l2Bytes) / 3 / static_cast<int64_t>(sizeof(float));
  panelsOfBlock_ = std::clamp<int64_t>(share / (kStep_ * vectors_ * lanes_), 1, panels_);
  tilesOfBlock_ = std::clamp<int64_t>(kRowsOfBlock / tiles_.size, 1, tiles_.count());
}

void BatchedExecutable::makeKernels() {
  const MatMulProblem& analysis = owner_.analysis_;
  const int64_t kBlocks = (k_ + kStep_ - 1) / kStep_;
  for (int stage = 0; stage < kStages; ++stage) {
    const bool exists = stage == Only ? kBlocks <= 1 : stage == Middle ? kBlocks > 2 : kBlocks > 1;
    for (int narrow = 0; narrow < 2; ++narrow)
      for (int small = 0; small < 2; ++small) {
        if (!exists || (small ? tiles_.small : tiles_.large) == 0) continue;
        const Panel panel = panelAt(narrow ? panels_ - 1 : 0);
        BrgemmSpec spec;
        spec.isa = owner_.stored_.problem.device.isa;
        spec.tile.rows = tiles_.size - small;
        spec.tile.vectors = static_cast<int>(panel.width / lanes_);
        spec.tile.accumulate = stage == Middle || stage == Last;
        spec.tile.maskLast = panel.columns != panel.width;
        spec.aRowStride = (copyA_ ? kCopyK + kPadding : k_) * 4;
        spec.packedB = packB_;
        if (stage == Only || stage == Last) {
          spec.tile.epilogue = analysis.region.program;
          spec.tile.operands = analysis.kinds;
        }
        kernels_[stage][narrow][small] = &owner_.kernels_.get(spec);
      }
  }
}

size_t BatchedExecutable::workspaceBytes() const {
  if (aOffsets_.empty() || m_ == 0 || n_ == 0) return 0;
  return static_cast<size_t>(batchParts_ * rowParts_ * columnParts_ * (aFloats() + bFloats())) *
         sizeof(float);
}

void BatchedExecutable::run(const RunArguments& arguments) const {
  if (aOffsets_.empty() || m_ == 0 || n_ == 0) return;
  arguments.pool->run(batchParts_ * rowParts_ * columnParts_,
                      [&](int part) { runPart(arguments, part); });
}

TilePointers BatchedExecutable::pointersOf(const RunArguments& arguments, int64_t matrix) const {
  TilePointers pointers;
  for (size_t i = 0; i < owner_.stored_.problem.outputs.size(); ++i)
    pointers.addOutput(static_cast<float*>(arguments.outputs[i]) + matrix * m_ * n_, 0);
  const MatMulProblem& analysis = owner_.analysis_;
  for (size_t i = 0; i < analysis.kinds.size(); ++i) {
    auto* base = static_cast<const float*>(
        arguments.inputs[positionOf(owner_.inputs_, analysis.region.operands[i])]);
    pointers.addOperand(base + operandOffsets_[i][static_cast<size_t>(matrix)], analysis.kinds[i],
                        0);
  }
  return pointers;
}

void BatchedExecutable::runPart(const RunArguments& arguments, int part) const {
  const int ofMatrix = rowParts_ * columnParts_;
  const Range matrices =
      partOf(static_cast<int64_t>(aOffsets_.size()), part / ofMatrix, batchParts_);
  const Range tiles = partOf(tiles_.count(), part % ofMatrix / columnParts_, rowParts_);
  const Range panels = partOf(panels_, part % columnParts_, columnParts_);
  auto input = [&](int tensor) {
    return static_cast<const float*>(arguments.inputs[positionOf(owner_.inputs_, tensor)]);
  };
  const float *a = input(owner_.analysis_.a), *b = input(owner_.analysis_.b);
  auto* workspace = static_cast<float*>(arguments.workspace) + part * (aFloats() + bFloats());
  for (int64_t matrix = matrices.begin; matrix < matrices.end; ++matrix) {
    TilePointers pointers = pointersOf(arguments, matrix);
    const auto i = static_cast<size_t>(matrix);
    runMatrix(a + aOffsets_[i], b + bOffsets_[i], pointers, tiles, panels, workspace);
  }
}

const float* BatchedExecutable::copyA(const float* a, Range rows, Range ks, float* to) const {
  constexpr int64_t kStride = kCopyK + kPadding;
  if (owner_.analysis_.transposeA) {
    transposeBlock(a + ks.begin * m_ + rows.begin, m_, ks.size(), rows.size(), to, kStride);
  } else {
    for (int64_t row = 0; row < rows.size(); ++row)
      std::copy_n(a + (rows.begin + row) * k_ + ks.begin, ks.size(), to + row * kStride);
  }
  return to;
}

void BatchedExecutable::runMatrix(const float* allA, const float* allB, TilePointers& pointers,
                                  Range tiles, Range panels, float* workspace) const {
  const bool transposed = owner_.analysis_.transposeB;
  const int64_t stride = transposed ? k_ : n_, zero = 0;
  float* packed = workspace + aFloats();
  BrgemmArguments tile{.c = {.rowStride = n_ * 4,
                             .vectorStride = lanes_ * 4,
                             .rowOperandStride = 4,
                             .tailLanes = (n_ - 1) % lanes_ + 1},
                       .tapOffsets = &zero,
                       .bRowStride = n_ * 4};
  const int64_t blockWidth = vectors_ * lanes_;
  for (int64_t firstPanel = panels.begin; firstPanel < panels.end; firstPanel += panelsOfBlock_) {
    const int64_t lastPanel = std::min(firstPanel + panelsOfBlock_, panels.end);
    for (int64_t k = 0; k == 0 || k < k_; k += kStep_) {
      const Range ks{k, std::min(k + kStep_, k_)};
      const bool last = ks.end == k_;
      const Stage stage = k == 0 ? (last ? Only : First) : last ? Last : Middle;
      tile.k = ks.size();
      if (packB_)
        for (int64_t i = firstPanel; i < lastPanel; ++i) {
          const Panel panel = panelAt(i);
          const float* from = allB + (transposed ? panel.column * k_ + k : k * n_ + panel.column);
          packPanel(from, stride, transposed, ks.size(), panel.columns, panel.width,
                    packed + (i - firstPanel) * blockWidth * kStep_);
        }
      for (int64_t first = tiles.begin; first < tiles.end; first += tilesOfBlock_) {
        const int64_t end = std::min(first + tilesOfBlock_, tiles.end);
        const Range rows{tiles_.firstRow(first), tiles_.firstRow(end)};
        const float* a = copyA_ ? copyA(allA, rows, ks, workspace) : allA + rows.begin * k_ + k;
        const int64_t aStride = copyA_ ? kCopyK + kPadding : k_;
        for (int64_t i = firstPanel; i < lastPanel; ++i) {
          const int64_t column = panelAt(i).column;
          tile.b =
              packB_ ? packed + (i - firstPanel) * blockWidth * kStep_ : allB + k * n_ + column;
          auto multiply = [&](int64_t from, int64_t to, bool small) {
            if (from >= to) return;
            const int64_t row = tiles_.firstRow(from);
            tile.a = a + (row - rows.begin) * aStride;
            tile.c.tiles = to - from;
            tile.c.pointers = pointers.at(0, row * n_ + column, column, row);
            (*kernels_[stage][i + 1 == panels_][small])(tile);
          };
          multiply(first, std::min(end, tiles_.large), false);
          multiply(std::max(first, tiles_.large), end, true);
        }
      }
    }
  }
}

// Products of operands that are both known at run time only, over broadcast batches.
class MatMulBatched : public Kernel {
 public:
  std::string_view name() const override { return "cpu/matmul/batched"; }

  Support supports(const Problem& problem) const override {
    auto analysis = analyze(problem);
    if (auto* refusal = std::get_if<Refusal>(&analysis)) return *refusal;
    struct Tile {
      int64_t rows, vectors;
    };
    const bool wide = problem.device.floatLanes() == 16;
    std::vector<Configuration> configurations;
    for (auto [rows, vectors] :
         wide ? std::vector<Tile>{{14, 2}, {6, 4}} : std::vector<Tile>{{6, 2}, {3, 3}})
      configurations.push_back({{{"rows", rows}, {"vectors", vectors}},
                                plainLayouts(problem.inputs.size()),
                                plainLayouts(problem.outputs.size())});
    return configurations;
  }

  double estimate(const Problem& problem, const Configuration& configuration,
                  const ConcreteShapes& shapes) const override {
    const double vectors = static_cast<double>(parameter(configuration, "vectors", 1, 4));
    return Kernel::estimate(problem, configuration, shapes) * (1.3 + 0.01 * vectors);
  }

  Prepared prepare(const Problem& problem, const Configuration& configuration) const override {
    return {encodeProblem(problem, configuration), {}, presentInputs(problem)};
  }

  std::unique_ptr<BoundKernel> bind(const BindArguments& arguments) const override {
    return std::make_unique<BoundBatched>(arguments);
  }
};

}  // namespace

const Kernel& matMulBatched() {
  static const MatMulBatched kernel;
  return kernel;
}

}  // namespace carnot
