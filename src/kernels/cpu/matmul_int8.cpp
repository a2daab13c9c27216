// Products of 8-bit integers by VNNI: sums of int32, which the tail turns into float32 in
// registers. The instruction multiplies uint8 by int8, so A of int8 and B of uint8 are shifted by
// 128, and so are their zero points:
//   Σ (a - za) (b - zb) = Σ a b - za (Σ b - k zb) - zb Σ a
// where B gives Σ b and zb for each column when it is packed, and A is summed where zb is not zero.

#include <fmt/core.h>

#include <algorithm>
#include <cstring>

#include "base/threads.h"
#include "kernels/cpu/packed_product.h"

namespace carnot {
namespace {

constexpr int kVectors = 2;  // of a panel
constexpr int kFour = 4;     // integers that an instruction multiplies and sums
constexpr int kShift = 128;
constexpr int kPadding = 64;                 // bytes, where rows would share the first cache's sets
constexpr int64_t kMaxK = int64_t{1} << 20;  // a block of A stays some megabytes

// What the tiles are generated for.
IsaSet tileIsa(const DeviceTraits& device) {
  if (device.isa.has(Isa::Avx512Vnni) || !device.isa.has(Isa::AvxVnni)) return device.isa;
  IsaSet isa;
  isa.add(Isa::Avx2);
  isa.add(Isa::AvxVnni);
  return isa;
}

int lanesOf(const DeviceTraits& device) { return tileIsa(device).has(Isa::Avx512) ? 16 : 8; }
int rowsOf(const DeviceTraits& device) { return lanesOf(device) == 16 ? 14 : 6; }

int64_t foursOf(int64_t k) { return (k + kFour - 1) / kFour; }

Panels panelsOf(const PackedProblem& product, const DeviceTraits& device) {
  const int lanes = lanesOf(device);
  const int64_t vectors = std::min<int64_t>(kVectors, (product.n + lanes - 1) / lanes);
  return {lanes, static_cast<int>(vectors), product.n, foursOf(product.k)};
}

bool isOne(const TensorDesc& desc) { return desc.shape.elementCount() == Dim(1); }

struct IntegerProblem : PackedProblem {
  int aZero = -1;  // input of the region
};

std::variant<Refusal, IntegerProblem> analyze(const Problem& problem) {
  const DeviceTraits& device = problem.device;
  if (!device.isa.has(Isa::Avx512Vnni) && !device.isa.has(Isa::AvxVnni))
    return Refusal{"needs VNNI"};
  auto product = integerMatMul(problem);
  if (auto* refusal = std::get_if<Refusal>(&product)) return *refusal;
  auto& known = std::get<IntegerMatMul>(product);
  IntegerProblem out;
  out.aZero = known.aZero;
  out.bZero = known.bZero;
  static_cast<MatMulProblem&>(out) = std::move(known);
  if (out.aZero >= 0 && !isOne(problem.inputs[static_cast<size_t>(out.aZero)]))
    return Refusal{"A has several zero points"};
  if (out.bZero >= 0) {
    const TensorDesc& zero = problem.inputs[static_cast<size_t>(out.bZero)];
    if (!zero.constant) return Refusal{"packs a constant zero point"};
    if (!isOne(zero) && zero.shape.elementCount() != zero.shape[zero.shape.rank() - 1])
      return Refusal{"B's zero points vary along its rows"};
    if (out.bZero == out.a || out.bZero == out.aZero) return Refusal{"a zero point is read twice"};
  }
  if (auto refusal = findPacked(problem, out)) return *refusal;
  if (out.k > kMaxK) return Refusal{fmt::format("{} products exceed {}", out.k, kMaxK)};
  return out;
}

// Panels of fours, then of each column Σ b - k zb and, where one of them is not zero, -zb.
std::vector<Tensor> packed(const Problem& problem, const IntegerProblem& product) {
  const Panels panels = panelsOf(product, problem.device);
  const Tensor& b = *problem.inputs[static_cast<size_t>(product.b)].constant;
  const Tensor* zeros =
      product.bZero < 0 ? nullptr : problem.inputs[static_cast<size_t>(product.bZero)].constant;
  const int64_t shift = b.dtype() == DType::U8 ? kShift : 0;
  const int64_t width = panels.floats() / panels.k;
  std::vector<int64_t> sums(static_cast<size_t>(width)), zero(static_cast<size_t>(width), -shift);
  if (zeros)
    for (int64_t column = 0; column < panels.n; ++column)
      zero[static_cast<size_t>(column)] +=
          loadLevel(zeros->data(), zeros->dtype(), zeros->count() == 1 ? 0 : column);
  Tensor fours(DType::I8, {kFour * panels.floats()});
  auto* out = fours.as<int8_t>();
  for (int64_t panel = 0; panel < panels.count(); ++panel) {
    const int64_t first = panel * panels.width();
    const int64_t last = first + int64_t{panels.vectorsOf(panel)} * panels.lanes;
    for (int64_t four = 0; four < panels.k; ++four)
      for (int64_t column = first; column < last; ++column)
        for (int64_t k = kFour * four; k < kFour * (four + 1); ++k) {
          const bool inside = k < product.k && column < product.n;
          const int64_t level =
              inside ? loadLevel(b.data(), b.dtype(), k * product.n + column) - shift : 0;
          sums[static_cast<size_t>(column)] += level;
          *out++ = static_cast<int8_t>(level);
        }
  }
  const bool factors =
      std::any_of(zero.begin(), zero.begin() + panels.n, [](int64_t value) { return value != 0; });
  Tensor terms(DType::I32, {factors ? 2 : 1, width});
  auto* term = terms.as<int32_t>();
  for (int64_t i = 0; i < width; ++i) {
    const auto at = static_cast<size_t>(i);
    term[i] = static_cast<int32_t>(sums[at] - product.k * zero[at]);
    if (factors) term[width + i] = static_cast<int32_t>(-zero[at]);
  }
  return {std::move(fours), std::move(terms)};
}

struct Bound : PackedProduct {
  DType aType = DType::U8, zeroType = DType::U8;
  std::optional<size_t> zeroPosition;
  const int32_t* terms = nullptr;
  bool factors = false;

  int64_t paddedColumns() const { return panels.floats() / panels.k; }
  // As the instruction takes A.
  int32_t zeroOfA(const RunArguments& arguments) const {
    const int64_t zero =
        zeroPosition ? loadLevel(arguments.inputs[*zeroPosition], zeroType, 0) : int64_t{0};
    return static_cast<int32_t>(zero + (aType == DType::I8 ? kShift : 0));
  }
};

class Int8Product : public Executable {
 public:
  Int8Product(const Bound& owner, int64_t m);
  size_t workspaceBytes() const override {
    return m_ == 0 ? 0 : static_cast<size_t>(scratchOfPart() * rowParts_ * columnParts_);
  }
  void run(const RunArguments& arguments) const override;

 private:
  void chooseParts(int threads);
  void runPart(const uint8_t* a, int32_t zero, TilePointers pointers, int part,
               std::byte* scratch) const;
  void copyRows(const uint8_t* a, Range rows, uint8_t* to) const;
  void sumRows(const uint8_t* a, int64_t count, int32_t* to) const;
  int64_t copyBytes() const { return copies_ ? tilesOfBlock_ * tiles_.size * rowBytes_ : 0; }
  int64_t factorBytes() const {
    return owner_.factors ? (tilesOfBlock_ * tiles_.size * 4 + 63) / 64 * 64 : 0;
  }
  int64_t scratchOfPart() const {
    return (copyBytes() + 63) / 64 * 64 + factorBytes() + owner_.paddedColumns() * 4;
  }

  const Bound& owner_;
  const int64_t m_;
  bool copies_ = false;
  RowTiles tiles_;
  int64_t rowBytes_ = 0, tilesOfBlock_ = 1;  // of a block of A
  int rowParts_ = 1, columnParts_ = 1;
  // By whether the panel is the last, and whether the tile is one of the smaller.
  const Brgemm* kernels_[2][2] = {};
};

Int8Product::Int8Product(const Bound& owner, int64_t m) : owner_(owner), m_(m) {
  if (m == 0) return;
  const DeviceTraits& device = owner.stored.problem.device;
  const Panels& panels = owner.panels;
  tiles_ = rowTiles(m, owner.rows);
  rowBytes_ = panels.k * kFour;
  const bool shares = rowsShareSets(rowBytes_, tiles_.size, device.l1Bytes);
  copies_ =
      owner.aType == DType::I8 || rowBytes_ != owner.problem.k || (shares && panels.count() > 2);
  if (copies_ && shares) rowBytes_ += kPadding;
  chooseParts(std::max(1, device.threads));
  const int64_t tilesOfPart = (tiles_.count() + rowParts_ - 1) / rowParts_;
  const int64_t share = static_cast<int64_t>(device.l2Bytes) / 4;
  tilesOfBlock_ = std::clamp<int64_t>(share / (rowBytes_ * tiles_.size), 1, tilesOfPart);
  for (const bool last : {false, true})
    for (const bool small : {false, true}) {
      if ((small ? tiles_.small : tiles_.large) == 0) continue;
      BrgemmSpec spec;
      spec.isa = tileIsa(device);
      spec.k = static_cast<int>(panels.k);
      spec.aRowStride = rowBytes_;
      spec.fours = true;
      spec.rowTerms = owner.factors;
      spec.real = !owner.problem.region.program.outputs.empty();
      spec.tile.rows = tiles_.size - small;
      spec.tile.vectors = panels.vectorsOf(last ? panels.count() - 1 : 0);
      spec.tile.maskLast = last && panels.n % panels.lanes != 0;
      spec.tile.epilogue = owner.problem.region.program;
      spec.tile.operands = owner.problem.kinds;
      spec.tile.fetchAhead = static_cast<int>(spec.tile.rows * panels.n * 4);
      kernels_[last][small] = &owner.kernels.get(spec);
    }
}

// The fewest cycles for the longest part, by what tiles and the reading of B take.
void Int8Product::chooseParts(int threads) {
  const Panels& panels = owner_.panels;
  const auto fours = static_cast<double>(panels.k);
  double best = 0;
  for (int rowParts = 1; rowParts <= threads; ++rowParts)
    for (int columnParts : {threads / rowParts, 1}) {
      auto share = [](int64_t count, int parts) {
        return static_cast<double>((count + parts - 1) / parts);
      };
      const double tiles = share(tiles_.count(), rowParts);
      const double width = share(panels.count(), columnParts);
      const double ofTile = fours * std::max(tiles_.size, 4) + 60;
      const double read = width * static_cast<double>(panels.width()) * fours * kFour / 16;
      const double cycles = std::max(tiles * width * ofTile, read) +
                            (copies_ ? tiles * tiles_.size * fours / 8 : 0) +
                            (rowParts * columnParts > 1 ? 8000 : 0);
      if (best != 0 && cycles >= best) continue;
      best = cycles;
      rowParts_ = rowParts;
      columnParts_ = columnParts;
    }
}

void Int8Product::run(const RunArguments& arguments) const {
  if (m_ == 0) return;
  const TilePointers pointers = owner_.pointers(arguments);
  const auto* a = static_cast<const uint8_t*>(arguments.inputs[owner_.aPosition]);
  const int32_t zero = owner_.zeroOfA(arguments);
  auto* scratch = static_cast<std::byte*>(arguments.workspace);
  arguments.pool->run(rowParts_ * columnParts_, [&](int part) {
    runPart(a, zero, pointers, part, scratch + part * scratchOfPart());
  });
}

void Int8Product::runPart(const uint8_t* a, int32_t zero, TilePointers pointers, int part,
                          std::byte* scratch) const {
  const Panels& panels = owner_.panels;
  const Range tiles = partOf(tiles_.count(), part / columnParts_, rowParts_);
  const Range columns = partOf(panels.count(), part % columnParts_, columnParts_);
  auto* copied = reinterpret_cast<uint8_t*>(scratch);
  auto* rowFactors = reinterpret_cast<int32_t*>(scratch + (copyBytes() + 63) / 64 * 64);
  auto* columnTerms = rowFactors + factorBytes() / 4;
  const int64_t padded = owner_.paddedColumns();
  const Range ofPart{columns.begin * panels.width(),
                     std::min(columns.end * panels.width(), padded)};
  for (int64_t i = ofPart.begin; i < ofPart.end; ++i)
    columnTerms[i] = static_cast<int32_t>(0u - static_cast<uint32_t>(zero) *
                                                   static_cast<uint32_t>(owner_.terms[i]));

  BrgemmArguments tile = owner_.tileArguments();
  for (int64_t first = tiles.begin; first < tiles.end; first += tilesOfBlock_) {
    const Range block{first, std::min(first + tilesOfBlock_, tiles.end)};
    const Range rows{tiles_.firstRow(block.begin), tiles_.firstRow(block.end)};
    const uint8_t* from = a + rows.begin * owner_.problem.k;
    if (copies_) {
      copyRows(from, rows, copied);
      from = copied;
    }
    if (owner_.factors) sumRows(from, rows.size(), rowFactors);
    for (int64_t panel = columns.begin; panel < columns.end; ++panel) {
      const int64_t column = panel * panels.width();
      tile.b = owner_.weights + panels.offset(panel);
      tile.columnTerms = columnTerms + column;
      tile.columnFactors = owner_.terms + padded + column;
      auto go = [&](int64_t begin, int64_t end, bool small) {
        if (begin >= end) return;
        const int64_t row = tiles_.firstRow(begin);
        tile.a = reinterpret_cast<const float*>(from + (row - rows.begin) * rowBytes_);
        tile.rowFactors = rowFactors + (row - rows.begin);
        tile.c.tiles = end - begin;
        tile.c.pointers = pointers.at(0, row * panels.n + column, column, row);
        (*kernels_[panel + 1 == panels.count()][small])(tile);
      };
      go(block.begin, std::min(block.end, tiles_.large), false);
      go(std::max(block.begin, tiles_.large), block.end, true);
    }
  }
}

// As uint8, with zeros up to whole fours.
void Int8Product::copyRows(const uint8_t* a, Range rows, uint8_t* to) const {
  const int64_t k = owner_.problem.k;
  const auto flip = static_cast<uint8_t>(owner_.aType == DType::I8 ? kShift : 0);
  for (int64_t row = rows.begin; row < rows.end; ++row, a += k, to += rowBytes_) {
    for (int64_t i = 0; i < k; ++i) to[i] = a[i] ^ flip;
    std::fill(to + k, to + foursOf(k) * kFour, uint8_t{0});
  }
}

void Int8Product::sumRows(const uint8_t* a, int64_t count, int32_t* to) const {
  for (int64_t row = 0; row < count; ++row, a += rowBytes_) {
    int32_t sum = 0;
    for (int64_t i = 0; i < owner_.problem.k; ++i) sum += a[i];
    to[row] = sum;
  }
}

class BoundInt8 : public BoundKernel {
 public:
  explicit BoundInt8(const BindArguments& arguments) {
    product_.stored = decodeProblem(arguments.parameters, arguments.device);
    const Problem& problem = product_.stored.problem;
    auto analyzed = analyze(problem);
    if (auto* refusal = std::get_if<Refusal>(&analyzed)) throwBadParameters(refusal->reason);
    auto& known = std::get<IntegerProblem>(analyzed);
    product_.aType = problem.inputs[static_cast<size_t>(known.a)].dtype;
    const int aZero = known.aZero;
    product_.problem = std::move(known);
    product_.rows = rowsOf(problem.device);
    product_.panels = panelsOf(product_.problem, problem.device);
    const auto weights = arguments.weights;
    if (weights.size() != 2 || weights[0].dtype != DType::I8 ||
        weights[0].count() != kFour * product_.panels.floats() || weights[1].dtype != DType::I32 ||
        (weights[1].count() != product_.paddedColumns() &&
         weights[1].count() != 2 * product_.paddedColumns()))
      throwBadParameters("the packed matrix has the wrong size");
    product_.weights = static_cast<const float*>(weights[0].data);
    product_.terms = static_cast<const int32_t*>(weights[1].data);
    product_.factors = weights[1].count() != product_.paddedColumns();
    product_.findInputs();
    if (aZero >= 0) {
      product_.zeroPosition = positionOf(product_.inputs, aZero);
      product_.zeroType = problem.inputs[static_cast<size_t>(aZero)].dtype;
    }
  }

  std::unique_ptr<Executable> specialize(const ConcreteShapes& shapes) const override {
    const auto types = concreteTypes(product_.stored, product_.inputs, shapes);
    const Shape& a = types[static_cast<size_t>(product_.problem.a)].shape;
    return std::make_unique<Int8Product>(product_, a.elementCount(0, a.rank() - 1).constant());
  }

 private:
  Bound product_;
};

class MatMulInt8 : public Kernel {
 public:
  std::string_view name() const override { return "cpu/matmul/int8"; }

  Support supports(const Problem& problem) const override {
    auto analysis = analyze(problem);
    if (auto* refusal = std::get_if<Refusal>(&analysis)) return *refusal;
    return std::vector<Configuration>{
        {{}, plainLayouts(problem.inputs.size()), plainLayouts(problem.outputs.size())}};
  }

  double estimate(const Problem& problem, const Configuration&,
                  const ConcreteShapes& shapes) const override {
    return roofline(costAt(problem, shapes), problem.device, 3.5);
  }

  Prepared prepare(const Problem& problem, const Configuration& configuration) const override {
    const IntegerProblem product = std::get<IntegerProblem>(analyze(problem));
    return {encodeProblem(problem, configuration), packed(problem, product),
            packedInputs(problem, product)};
  }

  std::unique_ptr<BoundKernel> bind(const BindArguments& arguments) const override {
    return std::make_unique<BoundInt8>(arguments);
  }
};

}  // namespace

const Kernel& matMulInt8() {
  static const MatMulInt8 kernel;
  return kernel;
}

}  // namespace carnot
