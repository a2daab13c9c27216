// Products of float32 whose operands are rounded to bfloat16: A a block of rows at a time, B when
// it is packed. Sums and what is behind them are float32.

#include <fmt/core.h>

#include <algorithm>

#include "base/threads.h"
#include "codegen/cpu/amx_product.h"
#include "kernels/cpu/bf16_loops.h"
#include "kernels/cpu/packed_product.h"

namespace carnot {
namespace {

constexpr int kLanes = 16;
constexpr int kVectors = 2;                  // of a panel
constexpr int kRows = 14;                    // of a tile in vector registers
constexpr int kTile = 16;                    // rows of an AMX tile, and words of k
constexpr int kBlockRows = 2 * kTile;        // of what AMX multiplies at once
constexpr int64_t kBlocksOfCall = 4;         // whose sums stay in the first cache
constexpr int kFinishRows = 8;               // of a tile of sums that AMX leaves
constexpr int64_t kLeastRowsOfAmx = 8;       // fewer are vectors' work
constexpr int64_t kMaxK = int64_t{1} << 16;  // a block of A stays some megabytes
constexpr int kPadding = 16;                 // words, where rows would share the first cache's sets

using AmxKernels = TileKernels<AmxSpec, AmxProduct>;

// Pairs of bfloat16 along k, with zeros up to whole AMX tiles.
int64_t wordsOf(int64_t k) { return (k + 2 * kTile - 1) / (2 * kTile) * kTile; }

Panels panelsOf(const PackedProblem& product) {
  const int64_t vectors = std::min<int64_t>(kVectors, (product.n + kLanes - 1) / kLanes);
  return {kLanes, static_cast<int>(vectors), product.n, wordsOf(product.k)};
}

std::variant<Refusal, PackedProblem> analyze(const Problem& problem) {
  if (!problem.device.multipliesBf16()) return Refusal{"needs instructions for bfloat16"};
  if (!problem.bf16) return Refusal{"rounds to bfloat16, which is not allowed here"};
  auto product = packedProblem(problem);
  if (const auto* known = std::get_if<PackedProblem>(&product)) {
    if (known->transposeA) return Refusal{"reads the first operand by rows"};
    if (known->k > kMaxK) return Refusal{fmt::format("{} products exceed {}", known->k, kMaxK)};
  }
  return product;
}

Tensor packedPairs(const Panels& panels, const PackedProblem& product, const float* b) {
  Tensor packed(DType::BF16, {2 * panels.floats()});
  auto* out = packed.as<uint16_t>();
  for (int64_t panel = 0; panel < panels.count(); ++panel) {
    const int64_t first = panel * panels.width();
    const int64_t last = first + int64_t{panels.vectorsOf(panel)} * panels.lanes;
    for (int64_t row = 0; row < 2 * panels.k; row += 2)
      for (int64_t column = first; column < last; ++column)
        for (int64_t k = row; k < row + 2; ++k) {
          const bool inside = k < product.k && column < product.n;
          const int64_t from = product.transposeB ? column * product.k + k : k * product.n + column;
          *out++ = inside ? floatToBfloat16(b[from]) : uint16_t{0};
        }
  }
  return packed;
}

struct Bound : PackedProduct {
  AmxKernels amxKernels;
};

class Bf16Product : public Executable {
 public:
  Bf16Product(const Bound& owner, int64_t m);
  size_t workspaceBytes() const override {
    return m_ == 0 ? 0 : static_cast<size_t>(scratchOfPart() * parts());
  }
  void run(const RunArguments& arguments) const override;

 private:
  void chooseParts(int threads);
  void runPart(const float* a, TilePointers pointers, int part, std::byte* scratch) const;
  void convert(const float* a, Range rows, uint32_t* to) const;
  void multiply(const uint32_t* a, Range tiles, int64_t panel, TilePointers& pointers) const;
  void multiplyByAmx(const uint32_t* a, Range rows, int64_t panel, TilePointers& pointers,
                     float* sums) const;
  int64_t firstRow(int64_t tile) const {
    return amx_ ? std::min(tile * kBlockRows, m_) : tiles_.firstRow(tile);
  }
  int64_t tileCount() const { return amx_ ? (m_ + kBlockRows - 1) / kBlockRows : tiles_.count(); }
  int parts() const { return rowParts_ * columnParts_; }
  int64_t copyBytes() const { return tilesOfBlock_ * tileRows_ * rowWords_ * 4; }
  int64_t sumBytes() const {
    return amx_ ? kBlocksOfCall * kBlockRows * owner_.panels.width() * 4 : 0;
  }
  int64_t scratchOfPart() const { return copyBytes() + sumBytes(); }
  int vectorsOf(bool last) const;  // of a panel
  BrgemmSpec tileSpec(int rows, bool last) const;
  const void* panelAt(int64_t panel) const;

  const Bound& owner_;
  const int64_t m_;
  bool amx_ = false;
  RowTiles tiles_;
  int tileRows_ = 0;
  int64_t rowWords_ = 0, tilesOfBlock_ = 1;  // of a block of A that is converted
  int rowParts_ = 1, columnParts_ = 1;
  // By whether the panel is the last, and whether the tile is one of the smaller, or the rest of
  // AMX's sums.
  const Brgemm* kernels_[2][2] = {};
  // By whether the panel is the last, and whether the block has one tile of rows.
  const AmxProduct* amxKernels_[2][2] = {};
};

Bf16Product::Bf16Product(const Bound& owner, int64_t m) : owner_(owner), m_(m) {
  if (m == 0) return;
  const DeviceTraits& device = owner.stored.problem.device;
  amx_ = device.isa.has(Isa::AmxBf16) && (m >= kLeastRowsOfAmx || !device.isa.has(Isa::Avx512Bf16));
  tiles_ = rowTiles(m, owner.rows);
  tileRows_ = amx_ ? kBlockRows : tiles_.size;
  const int64_t words = owner.panels.k;
  rowWords_ = words + (rowsShareSets(words * 4, tileRows_, device.l1Bytes) ? kPadding : 0);
  chooseParts(std::max(1, device.threads));
  const int64_t tilesOfPart = (tileCount() + rowParts_ - 1) / rowParts_;
  const int64_t share = static_cast<int64_t>(device.l2Bytes) / 4;
  tilesOfBlock_ = std::clamp<int64_t>(share / (rowWords_ * 4 * tileRows_), 1, tilesOfPart);

  for (const bool last : {false, true})
    for (const bool small : {false, true}) {
      const int rows = amx_    ? (small ? static_cast<int>(m % kFinishRows) : kFinishRows)
                       : small ? (tiles_.small ? tiles_.size - 1 : 0)
                               : tiles_.size;
      if (amx_)
        amxKernels_[last][small] = &owner.amxKernels.get({.rowTiles = small ? 1 : 2,
                                                          .columnTiles = vectorsOf(last),
                                                          .words = words,
                                                          .aRowStride = rowWords_ * 4});
      if (rows > 0) kernels_[last][small] = &owner.kernels.get(tileSpec(rows, last));
    }
}

int Bf16Product::vectorsOf(bool last) const {
  return owner_.panels.vectorsOf(last ? owner_.panels.count() - 1 : 0);
}

// Of pairs, or of sums that AMX leaves.
BrgemmSpec Bf16Product::tileSpec(int rows, bool last) const {
  const Panels& panels = owner_.panels;
  BrgemmSpec spec;
  spec.isa = owner_.stored.problem.device.isa;
  spec.k = static_cast<int>(panels.k);
  spec.aRowStride = rowWords_ * 4;
  spec.pairs = !amx_;
  spec.tile.rows = rows;
  spec.tile.vectors = vectorsOf(last);
  spec.tile.addends = amx_ ? 1 : 0;
  spec.tile.maskLast = last && panels.n % panels.lanes != 0;
  spec.tile.epilogue = owner_.problem.region.program;
  spec.tile.operands = owner_.problem.kinds;
  spec.tile.fetchAhead = static_cast<int>(rows * panels.n * 4);
  return spec;
}

// Parts of rows and of panels: the fewest cycles for the longest part, by what tiles, the
// conversion of A and the reading of B take.
void Bf16Product::chooseParts(int threads) {
  const Panels& panels = owner_.panels;
  const auto words = static_cast<double>(panels.k);
  double best = 0;
  for (int rowParts = 1; rowParts <= threads; ++rowParts)
    for (int columnParts : {threads / rowParts, 1}) {
      auto share = [](int64_t count, int parts) {
        return static_cast<double>((count + parts - 1) / parts);
      };
      const double tiles = share(tileCount(), rowParts), width = share(panels.count(), columnParts);
      const double ofTile = amx_ ? words * 4 + 300 : words * std::max(tileRows_, 4) + 60;
      const double converted = tiles * tileRows_ * words / 8;
      const double read = width * static_cast<double>(panels.width()) * words * 4 / 16;
      const double cycles = std::max(tiles * width * ofTile, read) + converted +
                            (rowParts * columnParts > 1 ? 8000 : 0);
      if (best != 0 && cycles >= best) continue;
      best = cycles;
      rowParts_ = rowParts;
      columnParts_ = columnParts;
    }
}

void Bf16Product::run(const RunArguments& arguments) const {
  if (m_ == 0) return;
  const TilePointers pointers = owner_.pointers(arguments);
  const auto* a = static_cast<const float*>(arguments.inputs[owner_.aPosition]);
  auto* scratch = static_cast<std::byte*>(arguments.workspace);
  arguments.pool->run(
      parts(), [&](int part) { runPart(a, pointers, part, scratch + part * scratchOfPart()); });
}

void Bf16Product::runPart(const float* a, TilePointers pointers, int part,
                          std::byte* scratch) const {
  const Range tiles = partOf(tileCount(), part / columnParts_, rowParts_);
  const Range columns = partOf(owner_.panels.count(), part % columnParts_, columnParts_);
  auto* copied = reinterpret_cast<uint32_t*>(scratch);
  auto* sums = reinterpret_cast<float*>(scratch + copyBytes());
  for (int64_t first = tiles.begin; first < tiles.end; first += tilesOfBlock_) {
    const Range block{first, std::min(first + tilesOfBlock_, tiles.end)};
    const Range rows{firstRow(block.begin), firstRow(block.end)};
    convert(a, rows, copied);
    for (int64_t panel = columns.begin; panel < columns.end; ++panel)
      if (amx_)
        multiplyByAmx(copied, rows, panel, pointers, sums);
      else
        multiply(copied, block, panel, pointers);
  }
}

// Rows of A as words, zeros behind k.
void Bf16Product::convert(const float* a, Range rows, uint32_t* to) const {
  const int64_t k = owner_.problem.k;
  for (int64_t row = rows.begin; row < rows.end; ++row, to += rowWords_) {
    auto* halves = reinterpret_cast<uint16_t*>(to);
    roundToBf16Avx512(a + row * k, k, halves);
    std::fill(halves + k, halves + 2 * owner_.panels.k, uint16_t{0});
  }
}

const void* Bf16Product::panelAt(int64_t panel) const {
  return owner_.weights + owner_.panels.offset(panel);
}

void Bf16Product::multiply(const uint32_t* a, Range tiles, int64_t panel,
                           TilePointers& pointers) const {
  const Panels& panels = owner_.panels;
  BrgemmArguments tile = owner_.tileArguments();
  tile.b = static_cast<const float*>(panelAt(panel));
  auto go = [&](int64_t from, int64_t to, bool small) {
    if (from >= to) return;
    const int64_t row = firstRow(from), column = panel * panels.width();
    tile.a = reinterpret_cast<const float*>(a + (row - firstRow(tiles.begin)) * rowWords_);
    tile.c.tiles = to - from;
    tile.c.pointers = pointers.at(0, row * panels.n + column, column, row);
    (*kernels_[panel + 1 == panels.count()][small])(tile);
  };
  go(tiles.begin, std::min(tiles.end, tiles_.large), false);
  go(std::max(tiles.begin, tiles_.large), tiles.end, true);
}

void Bf16Product::multiplyByAmx(const uint32_t* a, Range rows, int64_t panel,
                                TilePointers& pointers, float* sums) const {
  const Panels& panels = owner_.panels;
  const bool last = panel + 1 == panels.count();
  const int64_t width = int64_t{panels.vectorsOf(panel)} * panels.lanes;
  const int64_t column = panel * panels.width();
  BrgemmArguments tile = owner_.tileArguments();
  tile.taps = 0;
  auto finish = [&](int64_t row, int64_t count, bool small, const float* from) {
    if (count == 0) return;
    tile.c.tiles = count;
    tile.c.addends[0] = from;
    tile.c.pointers = pointers.at(0, row * panels.n + column, column, row);
    (*kernels_[last][small])(tile);
  };
  for (int64_t row = rows.begin; row < rows.end;) {
    const int64_t left = rows.end - row;
    const int64_t whole = (left + kTile - 1) / kTile / 2;  // blocks of two tiles of rows
    const int64_t blocks = std::clamp<int64_t>(whole, 1, kBlocksOfCall);
    const int64_t count = std::min(left, blocks * kBlockRows);
    (*amxKernels_[last][whole == 0])({.a = a + (row - rows.begin) * rowWords_,
                                      .b = panelAt(panel),
                                      .c = sums,
                                      .blocks = blocks});
    finish(row, count / kFinishRows, false, sums);
    const int64_t finished = count / kFinishRows * kFinishRows;
    finish(row + finished, count > finished, true, sums + finished * width);
    row += count;
  }
}

class BoundBf16 : public BoundKernel {
 public:
  explicit BoundBf16(const BindArguments& arguments) {
    product_.stored = decodeProblem(arguments.parameters, arguments.device);
    const Problem& problem = product_.stored.problem;
    auto analyzed = analyze(problem);
    if (auto* refusal = std::get_if<Refusal>(&analyzed)) throwBadParameters(refusal->reason);
    product_.problem = std::get<PackedProblem>(std::move(analyzed));
    product_.rows = kRows;
    product_.panels = panelsOf(product_.problem);
    if (arguments.weights.size() != 1 || arguments.weights[0].dtype != DType::BF16 ||
        arguments.weights[0].count() != 2 * product_.panels.floats())
      throwBadParameters("the packed matrix has the wrong size");
    product_.weights = static_cast<const float*>(arguments.weights[0].data);
    product_.findInputs();
  }

  std::unique_ptr<Executable> specialize(const ConcreteShapes& shapes) const override {
    const auto types = concreteTypes(product_.stored, product_.inputs, shapes);
    const Shape& a = types[static_cast<size_t>(product_.problem.a)].shape;
    const int64_t rows = a.elementCount(0, a.rank() - 1).constant();
    return std::make_unique<Bf16Product>(product_, rows);
  }

 private:
  Bound product_;
};

class MatMulBf16 : public Kernel {
 public:
  std::string_view name() const override { return "cpu/matmul/bf16"; }

  Support supports(const Problem& problem) const override {
    auto analysis = analyze(problem);
    if (auto* refusal = std::get_if<Refusal>(&analysis)) return *refusal;
    return std::vector<Configuration>{
        {{}, plainLayouts(problem.inputs.size()), plainLayouts(problem.outputs.size())}};
  }

  double estimate(const Problem& problem, const Configuration&,
                  const ConcreteShapes& shapes) const override {
    const bool amx = problem.device.isa.has(Isa::AmxBf16);
    return roofline(costAt(problem, shapes), problem.device, amx ? 6 : 1.7);
  }

  Prepared prepare(const Problem& problem, const Configuration& configuration) const override {
    const PackedProblem product = std::get<PackedProblem>(analyze(problem));
    const Tensor& b = *problem.inputs[static_cast<size_t>(product.b)].constant;
    return {encodeProblem(problem, configuration),
            {packedPairs(panelsOf(product), product, static_cast<const float*>(b.data()))},
            packedInputs(problem, product)};
  }

  std::unique_ptr<BoundKernel> bind(const BindArguments& arguments) const override {
    return std::make_unique<BoundBf16>(arguments);
  }
};

}  // namespace

const Kernel& matMulBf16() {
  static const MatMulBf16 kernel;
  return kernel;
}

}  // namespace carnot
