#include "kernels/cpu/packed_product.h"

#include <fmt/core.h>

#include <algorithm>
#include <cstring>

#include "base/threads.h"
#include "kernels/cpu/pack_panels.h"

namespace carnot {
namespace {

constexpr int64_t kMaxDim = int64_t{1} << 24;  // of k and n: offsets within a row stay below 2^31
constexpr int64_t kLeastTilesOfBlock = 4;
constexpr int64_t kRowsOfBlock = 448;  // of A that stay in the second cache
constexpr int kPadding = 16;           // floats between the rows of a copied block of A

// The leading axes are rows as well: an operand varies along all of them and the rows, or along
// none.
bool flattens(EpilogueOperand kind, const std::vector<Along>& variation) {
  const bool rows = kind == EpilogueOperand::Row || kind == EpilogueOperand::Element;
  return std::all_of(variation.begin(), variation.end() - 1,
                     [&](Along along) { return along != (rows ? Along::Fixed : Along::Varies); });
}

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

class OrdinaryProduct : public Executable {
 public:
  OrdinaryProduct(const PackedProduct& owner, int64_t m, int64_t rowsOfMatrix);
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

  const PackedProduct& owner_;
  int64_t m_, rowsOfMatrix_, kStep_ = 0, kBlocks_ = 0, tilesOfBlock_ = 0;
  bool copyA_ = false;
  Partition partition_;
  RowTiles tiles_;
  // By stage, whether the k block is the shorter last one, whether the panel is the narrower last
  // one, and whether the tile is one of the smaller.
  const Brgemm* kernels_[kStages][2][2] = {};
};

OrdinaryProduct::OrdinaryProduct(const PackedProduct& owner, int64_t m, int64_t rowsOfMatrix)
    : owner_(owner), m_(m), rowsOfMatrix_(rowsOfMatrix) {
  const Panels& panels = owner.panels;
  const DeviceTraits& device = owner.stored.problem.device;
  partition_ = choosePartition(m, owner.rows, panels, std::max(1, device.threads));
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
  copyA_ = owner.problem.transposeA ||
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
          spec.tile.epilogue = owner.problem.region.program;
          spec.tile.operands = owner.problem.kinds;
          spec.tile.fetchAhead = static_cast<int>(spec.tile.rows * panels.n * 4);
        }
        kernels_[stage][narrow][small] = &owner.kernels.get(spec);
      }
  }
}

const Panels& OrdinaryProduct::panels() const { return owner_.panels; }

int64_t OrdinaryProduct::copyBytes() const {
  if (!copyA_) return 0;
  return tilesOfBlock_ * tiles_.size * (kStep_ + kPadding) * static_cast<int64_t>(sizeof(float));
}

size_t OrdinaryProduct::workspaceBytes() const {
  return static_cast<size_t>(copyBytes() * partition_.rowParts * partition_.columnParts);
}

const float* OrdinaryProduct::copyRows(const float* a, Range rows, Range ks, float* to) const {
  if (owner_.problem.transposeA) {
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

void OrdinaryProduct::run(const RunArguments& arguments) const {
  if (m_ == 0) return;
  const TilePointers pointers = owner_.pointers(arguments);
  auto* a = static_cast<const float*>(arguments.inputs[owner_.aPosition]);
  auto* workspace = static_cast<float*>(arguments.workspace);
  arguments.pool->run(partition_.rowParts * partition_.columnParts, [&](int part) {
    runPart(a, pointers, part, workspace + part * copyBytes() / 4);
  });
}

void OrdinaryProduct::runPart(const float* allA, TilePointers pointers, int part,
                              float* copied) const {
  const Panels& panels = this->panels();
  const Range tiles = partOf(tiles_.count(), part / partition_.columnParts, partition_.rowParts);
  const Range columns =
      partOf(panels.count(), part % partition_.columnParts, partition_.columnParts);
  BrgemmArguments tile = owner_.tileArguments();
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
        tile.b = owner_.weights + panels.offset(panel) + ks.begin * width;
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

}  // namespace

std::optional<Refusal> findPacked(const Problem& problem, PackedProblem& out) {
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
  return std::nullopt;
}

std::variant<Refusal, PackedProblem> packedProblem(const Problem& problem) {
  if (!problem.device.isa.has(Isa::Avx2)) return Refusal{"is generated for AVX2 and AVX-512"};
  auto product = matMulProblem(problem);
  if (auto* refusal = std::get_if<Refusal>(&product)) return *refusal;
  PackedProblem out{std::get<MatMulProblem>(std::move(product)), 0, 0};
  if (auto refusal = findPacked(problem, out)) return *refusal;
  return out;
}

std::vector<int> packedInputs(const Problem& problem, const PackedProblem& product) {
  std::vector<int> inputs = presentInputs(problem);
  for (int packed : {product.b, product.bZero})
    if (std::ranges::find(product.region.operands, packed) == product.region.operands.end())
      std::erase(inputs, packed);
  return inputs;
}

void PackedProduct::findInputs() {
  inputs = packedInputs(stored.problem, problem);
  aPosition = positionOf(inputs, problem.a);
  for (int operand : problem.region.operands)
    operandPositions.push_back(positionOf(inputs, operand));
}

BrgemmArguments PackedProduct::tileArguments() const {
  static constexpr int64_t kNoOffset = 0;
  return {.c = {.rowStride = panels.n * 4,
                .vectorStride = panels.lanes * 4,
                .rowOperandStride = 4,
                .tailLanes = (panels.n - 1) % panels.lanes + 1},
          .tapOffsets = &kNoOffset};
}

TilePointers PackedProduct::pointers(const RunArguments& arguments) const {
  TilePointers pointers;
  for (size_t i = 0; i < stored.problem.outputs.size(); ++i)
    pointers.addOutput(arguments.outputs[i], 0);
  for (size_t i = 0; i < problem.kinds.size(); ++i)
    pointers.addOperand(arguments.inputs[operandPositions[i]], problem.kinds[i], 0);
  return pointers;
}

std::unique_ptr<Executable> ordinaryProduct(const PackedProduct& owner, int64_t m,
                                            int64_t rowsOfMatrix) {
  return std::make_unique<OrdinaryProduct>(owner, m, rowsOfMatrix);
}

}  // namespace carnot
