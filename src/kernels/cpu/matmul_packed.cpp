#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/threads.h"
#include "kernels/cpu/matmul_problem.h"
#include "kernels/cpu/pack_panels.h"
#include "kernels/cpu/tile_kernels.h"
#include "kernels/cpu/tile_pointers.h"

namespace carnot {
namespace {

constexpr std::string_view kName = "cpu/matmul/packed";
constexpr int64_t kMaxDim = int64_t{1} << 24;  // of k and n: offsets within a row stay below 2^31
constexpr int64_t kLeastTilesOfBlock = 4;
constexpr int64_t kRowsOfBlock = 448;  // of A that stay in the second cache
constexpr int kPadding = 16;           // floats between the rows of a copied block of A

struct Analysis : MatMulProblem {
  int64_t n = 0, k = 0;
};

// The leading axes are rows as well: an operand varies along all of them and the rows, or along
// none.
bool flattens(EpilogueOperand kind, const std::vector<Along>& variation) {
  const bool rows = kind == EpilogueOperand::Row || kind == EpilogueOperand::Element;
  return std::all_of(variation.begin(), variation.end() - 1,
                     [&](Along along) { return along != (rows ? Along::Fixed : Along::Varies); });
}

std::variant<Refusal, Analysis> analyze(const Problem& problem) {
  if (!problem.device.isa.has(Isa::Avx2)) return Refusal{"is generated for AVX2 and AVX-512"};
  auto product = matMulProblem(problem);
  if (auto* refusal = std::get_if<Refusal>(&product)) return *refusal;
  Analysis out{std::get<MatMulProblem>(std::move(product)), 0, 0};
  const TensorDesc& b = problem.inputs[static_cast<size_t>(out.b)];
  if (!b.constant || out.a == out.b) return Refusal{"packs a constant second operand"};
  if (b.shape.rank() != 2) return Refusal{"the second operand is not a matrix"};
  if (!b.shape.isStatic()) return Refusal{"the second operand has symbolic dims"};
  out.k = b.shape[out.transposeB ? 1 : 0].constant();
  out.n = b.shape[out.transposeB ? 0 : 1].constant();
  if (out.k < 1 || out.n < 1 || out.k > kMaxDim || out.n > kMaxDim)
    return Refusal{fmt::format("{} by {} is outside what it packs", out.k, out.n)};
  for (size_t i = 0; i < out.kinds.size(); ++i) {
    const Shape& shape = problem.inputs[static_cast<size_t>(out.region.operands[i])].shape;
    if (!flattens(out.kinds[i], variationOf(shape, out.region.result.shape)))
      return Refusal{
          fmt::format("an operand {} repeats along some of the rows' axes", shape.toString())};
  }
  return out;
}

// Inputs read at run time: all but B, unless the tail reads that too.
std::vector<int> runtimeInputs(const Problem& problem, const Analysis& analysis) {
  std::vector<int> inputs = presentInputs(problem);
  if (std::ranges::find(analysis.region.operands, analysis.b) == analysis.region.operands.end())
    std::erase(inputs, analysis.b);
  return inputs;
}

// B as panels of vectors * lanes columns, each [k][columns]; the last panel only as wide as it
// needs.
struct Panels {
  int lanes, vectors;
  int64_t n, k;

  int64_t width() const { return int64_t{vectors} * lanes; }
  int64_t count() const { return (n + width() - 1) / width(); }
  int64_t floats() const { return (n + lanes - 1) / lanes * lanes * k; }
  int64_t offset(int64_t panel) const { return panel * width() * k; }
  int vectorsOf(int64_t panel) const {
    return static_cast<int>(std::min<int64_t>(vectors, (n - panel * width() + lanes - 1) / lanes));
  }
};

void pack(const Panels& panels, const float* b, bool transposed, float* out) {
  for (int64_t panel = 0; panel < panels.count(); ++panel) {
    const int64_t first = panel * panels.width();
    const int64_t width = int64_t{panels.vectorsOf(panel)} * panels.lanes;
    packPanel(b + first * (transposed ? panels.k : 1), transposed ? panels.k : panels.n, transposed,
              panels.k, std::min(width, panels.n - first), width, out + panels.offset(panel));
  }
}

// ---- At run time.

// Work as [rowParts × columnParts] parts: each has some tiles of rows and some panels.
struct Partition {
  int rowParts = 1, columnParts = 1;
  int64_t tiles = 1;
};

Partition choosePartition(int64_t m, int rows, const Panels& panels, int threads) {
  Partition best;
  double bestCycles = 0;
  for (int rowParts = 1; rowParts <= threads; ++rowParts) {
    for (int columnParts : {threads / rowParts, 1}) {
      const int64_t partRows = (m + rowParts - 1) / rowParts;
      const int64_t tiles = (partRows + rows - 1) / rows;
      const double tileRows = static_cast<double>(partRows) / static_cast<double>(tiles);
      const double partPanels =
          static_cast<double>((panels.count() + columnParts - 1) / columnParts);
      const double k = static_cast<double>(panels.k);
      const double products = std::max(tileRows * panels.vectors / 2, 4.0);
      const double traffic =
          4 * k *
          (static_cast<double>(partRows) + partPanels * static_cast<double>(panels.width()));
      double cycles = static_cast<double>(tiles) * partPanels * (k * products + 60) + traffic / 16;
      if (rowParts * columnParts > 1) cycles += 8000;
      if (bestCycles == 0 || cycles < bestCycles) {
        bestCycles = cycles;
        best = {rowParts, columnParts, std::min(m, tiles * rowParts)};
      }
    }
  }
  return best;
}

class BoundMatMul;

class MatMulExecutable : public Executable {
 public:
  // Of `m` rows in all; of each matrix of A `rowsOfMatrix`, which matter when A is transposed.
  MatMulExecutable(const BoundMatMul& owner, int64_t m, int64_t rowsOfMatrix);
  size_t workspaceBytes() const override;
  void run(const RunArguments& arguments) const override;

 private:
  enum Stage { Only, First, Middle, Last, kStages };

  void runPart(const float* a, TilePointers pointers, int part, float* copied) const;
  const float* copyRows(const float* a, Range rows, Range ks, float* to) const;
  int64_t copyBytes() const;
  int64_t firstRow(int64_t tile) const { return tiles_.firstRow(tile); }
  Range kBlock(int64_t block) const {
    return {block * kStep_, std::min((block + 1) * kStep_, panels().k)};
  }
  const Panels& panels() const;

  const BoundMatMul& owner_;
  int64_t m_, rowsOfMatrix_, kStep_ = 0, kBlocks_ = 0, tilesOfBlock_ = 0;
  bool copyA_ = false;
  Partition partition_;
  RowTiles tiles_;
  // By stage, whether the k block is the shorter last one, whether the panel is the narrower last
  // one, and whether the tile is one of the smaller.
  const Brgemm* kernels_[kStages][2][2] = {};
};

class BoundMatMul : public BoundKernel {
 public:
  BoundMatMul(const BindArguments& arguments)
      : stored_(decodeProblem(arguments.parameters, arguments.device)) {
    auto analysis = analyze(stored_.problem);
    if (auto* refusal = std::get_if<Refusal>(&analysis)) throwBadParameters(refusal->reason);
    analysis_ = std::get<Analysis>(std::move(analysis));
    const int lanes = stored_.problem.device.floatLanes();
    const int vectors = static_cast<int>(parameter(stored_.configuration, "vectors", 1, 8));
    rows_ = static_cast<int>(
        parameter(stored_.configuration, "rows", 1, BrgemmSpec::maxRows(lanes, vectors)));
    panels_ = {lanes, vectors, analysis_.n, analysis_.k};
    if (arguments.weights.size() != 1 || arguments.weights[0].dtype != DType::F32 ||
        arguments.weights[0].count() != panels_.floats())
      throwBadParameters("the packed matrix has the wrong size");
    weights_ = arguments.weights[0].as<const float>();
    inputs_ = runtimeInputs(stored_.problem, analysis_);
    aPosition_ = positionOf(inputs_, analysis_.a);
    for (int operand : analysis_.region.operands)
      operandPositions_.push_back(positionOf(inputs_, operand));
  }

  std::unique_ptr<Executable> specialize(const ConcreteShapes& shapes) const override {
    auto types = concreteTypes(stored_, inputs_, shapes);
    const Shape& a = types[static_cast<size_t>(analysis_.a)].shape;
    const size_t rowAxis = a.rank() - (analysis_.transposeA ? 1 : 2);
    const int64_t rows = analysis_.rowAxis ? a[rowAxis].constant() : 1;
    const int64_t matrices = a.rank() > 2 ? a.elementCount(0, a.rank() - 2).constant() : 1;
    return std::make_unique<MatMulExecutable>(*this, matrices * rows, rows);
  }

 private:
  friend class MatMulExecutable;

  StoredProblem stored_;
  Analysis analysis_;
  Panels panels_{};
  int rows_ = 0;
  const float* weights_ = nullptr;
  std::vector<int> inputs_;  // of the region, as run gets them
  size_t aPosition_ = 0;
  std::vector<size_t> operandPositions_;
  BrgemmKernels kernels_;
};

MatMulExecutable::MatMulExecutable(const BoundMatMul& owner, int64_t m, int64_t rowsOfMatrix)
    : owner_(owner), m_(m), rowsOfMatrix_(rowsOfMatrix) {
  const Panels& panels = owner.panels_;
  const DeviceTraits& device = owner.stored_.problem.device;
  partition_ = choosePartition(m, owner.rows_, panels, std::max(1, device.threads));
  tiles_ = partition_.tiles
               ? rowTiles(m, static_cast<int>((m + partition_.tiles - 1) / partition_.tiles))
               : RowTiles{};
  if (m == 0) return;
  const int64_t tilesOfPart = (tiles_.count() + partition_.rowParts - 1) / partition_.rowParts;
  // One pass over k, unless a panel of B, or the least block of A that is worth a pass over B,
  // outgrows its share of the second cache.
  const int64_t share =
      static_cast<int64_t>(device.l2Bytes) / 4 / static_cast<int64_t>(sizeof(float));
  int64_t most = panels.k;
  if (tilesOfPart > 1)
    most = std::min({most, share / panels.width(), 2 * share / (kLeastTilesOfBlock * tiles_.size)});
  kBlocks_ = (panels.k + most - 1) / most;
  kStep_ = kBlocks_ == 1 ? panels.k : ((panels.k + kBlocks_ - 1) / kBlocks_ + 15) / 16 * 16;
  kBlocks_ = (panels.k + kStep_ - 1) / kStep_;
  const int64_t tilesOfCache = 2 * share / (kStep_ * tiles_.size);
  tilesOfBlock_ = std::clamp<int64_t>(tilesOfCache, 1, kRowsOfBlock / tiles_.size);
  // Blocks of one part, as even as can be.
  const int64_t blocks = (tilesOfPart + tilesOfBlock_ - 1) / tilesOfBlock_;
  tilesOfBlock_ = (tilesOfPart + blocks - 1) / blocks;
  copyA_ = owner.analysis_.transposeA ||
           (rowsShareSets(panels.k * 4, tiles_.size, device.l1Bytes) && panels.count() > 2);

  for (int stage = 0; stage < kStages; ++stage) {
    const bool exists = stage == Only     ? kBlocks_ == 1
                        : stage == Middle ? kBlocks_ > 2
                                          : kBlocks_ > 1;
    for (int small = 0; small < 2; ++small)
      for (int narrow = 0; narrow < 2; ++narrow) {
        if (!exists || (small ? tiles_.small : tiles_.large) == 0) continue;
        const int64_t panel = narrow ? panels.count() - 1 : 0;
        BrgemmSpec spec;
        spec.isa = device.isa;
        spec.tile.rows = tiles_.size - small;
        spec.tile.vectors = panels.vectorsOf(panel);
        spec.k = static_cast<int>(kBlock(stage == Only || stage == Last ? kBlocks_ - 1 : 0).size());
        spec.aRowStride = (copyA_ ? kStep_ + kPadding : panels.k) * 4;
        spec.tile.accumulate = stage == Middle || stage == Last;
        spec.prefetchEvery = kBlocks_ == 1 ? prefetchEvery(std::min(tilesOfPart, tilesOfBlock_),
                                                           panels.vectors, panels.lanes)
                                           : 0;
        spec.tile.maskLast = narrow && panels.n % panels.lanes != 0;
        if (stage == Only || stage == Last) {
          spec.tile.epilogue = owner.analysis_.region.program;
          spec.tile.operands = owner.analysis_.kinds;
          spec.tile.fetchAhead = static_cast<int>(spec.tile.rows * panels.n * 4);
        }
        kernels_[stage][narrow][small] = &owner.kernels_.get(spec);
      }
  }
}

const Panels& MatMulExecutable::panels() const { return owner_.panels_; }

int64_t MatMulExecutable::copyBytes() const {
  if (!copyA_) return 0;
  return tilesOfBlock_ * tiles_.size * (kStep_ + kPadding) * static_cast<int64_t>(sizeof(float));
}

size_t MatMulExecutable::workspaceBytes() const {
  return static_cast<size_t>(copyBytes() * partition_.rowParts * partition_.columnParts);
}

const float* MatMulExecutable::copyRows(const float* a, Range rows, Range ks, float* to) const {
  if (owner_.analysis_.transposeA) {
    for (int64_t row = rows.begin, count; row < rows.end; row += count) {
      const int64_t matrix = row / rowsOfMatrix_, place = row % rowsOfMatrix_;
      count = std::min(rows.end - row, rowsOfMatrix_ - place);
      transposeBlock(a + (matrix * panels().k + ks.begin) * rowsOfMatrix_ + place, rowsOfMatrix_,
                     ks.size(), count, to + (row - rows.begin) * (kStep_ + kPadding),
                     kStep_ + kPadding);
    }
    return to;
  }
  for (int64_t row = rows.begin; row < rows.end; ++row)
    std::memcpy(to + (row - rows.begin) * (kStep_ + kPadding), a + row * panels().k + ks.begin,
                static_cast<size_t>(ks.size()) * sizeof(float));
  return to;
}

void MatMulExecutable::run(const RunArguments& arguments) const {
  if (m_ == 0) return;
  const Analysis& analysis = owner_.analysis_;
  TilePointers pointers;
  for (size_t i = 0; i < owner_.stored_.problem.outputs.size(); ++i)
    pointers.addOutput(arguments.outputs[i], 0);
  for (size_t i = 0; i < analysis.kinds.size(); ++i)
    pointers.addOperand(arguments.inputs[owner_.operandPositions_[i]], analysis.kinds[i], 0);
  auto* a = static_cast<const float*>(arguments.inputs[owner_.aPosition_]);
  auto* workspace = static_cast<float*>(arguments.workspace);
  arguments.pool->run(partition_.rowParts * partition_.columnParts, [&](int part) {
    runPart(a, pointers, part, workspace + part * copyBytes() / 4);
  });
}

void MatMulExecutable::runPart(const float* allA, TilePointers pointers, int part,
                               float* copied) const {
  const Panels& panels = this->panels();
  const Range tiles = partOf(tiles_.count(), part / partition_.columnParts, partition_.rowParts);
  const Range columns =
      partOf(panels.count(), part % partition_.columnParts, partition_.columnParts);
  const int64_t zero = 0;
  BrgemmArguments tile{.c = {.rowStride = panels.n * 4,
                             .vectorStride = panels.lanes * 4,
                             .rowOperandStride = 4,
                             .tailLanes = (panels.n - 1) % panels.lanes + 1},
                       .tapOffsets = &zero};
  for (int64_t block = 0; block < kBlocks_; ++block) {
    const Range ks = kBlock(block);
    const Stage stage = kBlocks_ == 1          ? Only
                        : block == 0           ? First
                        : block + 1 < kBlocks_ ? Middle
                                               : Last;
    for (int64_t first = tiles.begin; first < tiles.end; first += tilesOfBlock_) {
      const int64_t last = std::min(first + tilesOfBlock_, tiles.end);
      const Range rows{firstRow(first), firstRow(last)};
      const int64_t rowFloats = copyA_ ? kStep_ + kPadding : panels.k;
      const float* a =
          copyA_ ? copyRows(allA, rows, ks, copied) : allA + rows.begin * panels.k + ks.begin;
      for (int64_t panel = columns.begin; panel < columns.end; ++panel) {
        const int64_t width = int64_t{panels.vectorsOf(panel)} * panels.lanes;
        tile.b = owner_.weights_ + panels.offset(panel) + ks.begin * width;
        tile.prefetch = tile.b + ks.size() * width;
        auto multiply = [&](int64_t from, int64_t to, bool small) {
          if (from >= to) return;
          const int64_t row = firstRow(from), column = panel * panels.width();
          tile.a = a + (row - rows.begin) * rowFloats;
          tile.c.tiles = to - from;
          tile.c.pointers = pointers.at(0, row * panels.n + column, column, row);
          const Brgemm& kernel = *kernels_[stage][panel + 1 == panels.count()][small];
          kernel(tile);
          kernel.advancePrefetch(tile);
        };
        multiply(first, std::min(last, tiles_.large), false);
        multiply(std::max(first, tiles_.large), last, true);
      }
    }
  }
}

// ---- The kernel.

class MatMulPacked : public Kernel {
 public:
  std::string_view name() const override { return kName; }

  Support supports(const Problem& problem) const override {
    auto analysis = analyze(problem);
    if (auto* refusal = std::get_if<Refusal>(&analysis)) return *refusal;
    const int lanes = problem.device.floatLanes();
    const int64_t needed = (std::get<Analysis>(analysis).n + lanes - 1) / lanes;
    struct Tile {
      int64_t rows, vectors;
    };
    std::vector<Tile> tiles;
    if (lanes == 16)
      tiles = needed == 1 ? std::vector<Tile>{{28, 1}} : std::vector<Tile>{{14, 2}, {7, 4}};
    else
      tiles = needed == 1 ? std::vector<Tile>{{12, 1}} : std::vector<Tile>{{6, 2}, {4, 3}, {3, 4}};
    std::vector<Configuration> configurations;
    for (auto [rows, vectors] : tiles)
      if (vectors <= needed)
        configurations.push_back({{{"rows", rows}, {"vectors", vectors}},
                                  plainLayouts(problem.inputs.size()),
                                  plainLayouts(problem.outputs.size())});
    return configurations;
  }

  double estimate(const Problem& problem, const Configuration& configuration,
                  const ConcreteShapes& shapes) const override {
    const double rows = static_cast<double>(parameter(configuration, "rows", 1, 32));
    const double vectors = static_cast<double>(parameter(configuration, "vectors", 1, 8));
    auto analysis = analyze(problem);
    const Analysis& known = std::get<Analysis>(analysis);
    const std::vector<int64_t>& a = shapes.inputs[static_cast<size_t>(known.a)];
    const double m =
        std::max(1.0, static_cast<double>(elementCount(a)) / static_cast<double>(known.k));
    double tiles = std::max(1.0, std::ceil(m / rows));
    double cyclesOfRow = std::max(m / tiles * vectors / 2, 4.0) / (m / tiles * vectors / 2);
    std::vector<TensorType> types = problem.inputTypes();
    for (size_t i = 0; i < types.size(); ++i)
      if (problem.inputs[i].present) types[i].shape = Shape::of(shapes.inputs[i]);
    // Wider panels read A less often.
    return roofline(costRegion(problem.region, types), problem.device,
                    (0.9 + 0.01 * vectors) / std::max(1.0, cyclesOfRow));
  }

  Prepared prepare(const Problem& problem, const Configuration& configuration) const override {
    auto analyzed = analyze(problem);
    const Analysis& analysis = std::get<Analysis>(analyzed);
    const Panels panels{problem.device.floatLanes(),
                        static_cast<int>(parameter(configuration, "vectors", 1, 8)), analysis.n,
                        analysis.k};
    Tensor packed(DType::F32, {panels.floats()});
    const Tensor& b = *problem.inputs[static_cast<size_t>(analysis.b)].constant;
    pack(panels, static_cast<const float*>(b.data()), analysis.transposeB, packed.as<float>());
    return {encodeProblem(problem, configuration), {packed}, runtimeInputs(problem, analysis)};
  }

  std::unique_ptr<BoundKernel> bind(const BindArguments& arguments) const override {
    return std::make_unique<BoundMatMul>(arguments);
  }
};

}  // namespace

const Kernel& matMulPacked() {
  static const MatMulPacked kernel;
  return kernel;
}

}  // namespace carnot
