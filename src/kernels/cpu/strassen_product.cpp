#include <algorithm>
#include <cstring>

#include "base/threads.h"
#include "kernels/cpu/packed_product.h"
#include "kernels/cpu/strassen_loops.h"

namespace carnot {
namespace {

constexpr int64_t kMostTilesOfBlock = 8;
constexpr int64_t kLeastRowsOfPart = 112;  // of a half, where columns are parted too
constexpr int kPadding = 16;               // floats, where rows would share the first cache's sets

// One level of Strassen's scheme in Winograd's form (Strassen, "Gaussian elimination is not
// optimal", 1969; Winograd 1971), whose sums are fused into the products as in Huang and others,
// "Strassen's algorithm reloaded" (SC 2016). A is halved by rows and by k, B by k, and every other
// panel of B's columns is the left or the right half, so that all of C's quarters that one pair of
// panels gives stay in the cache:
//
//   s1 = a21 + a22, s2 = s1 - a11, s3 = a11 - a21, s4 = a12 - s2
//   t1 = b12 - b11, t2 = b22 - t1, t3 = b22 - b12, t4 = b21 - t2
//   x = a11 b11, u = x + s2 t2, v = u + s3 t3, y = s1 t1
//   c11 = x + a12 b21, c12 = u + y + s4 b22, c21 = v + a22 t4, c22 = v + y
//
// The first line goes over rows once, each of the second is left by the first tile that multiplies
// with it, the third is partial sums.
// Of an odd number of rows the last of the lower half is zeros.
class StrassenProduct : public Executable {
 public:
  StrassenProduct(const PackedProduct& owner, int64_t m);
  size_t workspaceBytes() const override;
  void run(const RunArguments& arguments) const override;

 private:
  // What differs has one behind it that makes the difference: of its first tile.
  enum Code { Start, StartDiffer, Go, GoDiffer, End, EndDiffer, EndTwo, Plain, PlainLast, kCodes };
  enum { kSizes = 3 };  // of tiles: RowTiles::size less 0, 1 or 2
  struct Scratch {
    float *t1, *t2, *x, *u, *v, *y;  // t3 and t4 take the places of t1 and t2
  };
  // Operands of one of the seven products, for a block of rows.
  struct Step {
    Code code;
    const float *a, *b;
    const float* prefetch;
    const float* minus = nullptr;  // with `difference`, where b less it goes
    float* difference = nullptr;
    const float *first = nullptr, *second = nullptr;  // addends
    float* partial = nullptr;
    int64_t row = -1, column = -1;  // of C
    int64_t taps = 1;
  };
  struct Output {
    TilePointers pointers;
    bool streams;
  };
  // Rows of A where products read them: in place or copied.
  struct Rows {
    const float *upper, *lower, *s12, *s34;
    Range tiles;
  };

  const Panels& panels() const { return owner_.panels; }
  int64_t halfK() const { return panels().k / 2; }
  bool odd() const { return m_ % 2 != 0; }
  int64_t quarter() const { return halfK() * panels().width(); }  // floats of a panel's half
  int64_t plainPanels() const { return panels().count() - 2 * pairs_; }
  int64_t sumFloats() const { return blockRows_ * stride_ * (copyA_ ? 4 : 2); }
  int64_t partFloats() const {
    return (sumFloats() + 2 * quarter() + 4 * blockRows_ * panels().width() + 15) / 16 * 16;
  }
  void choosePartition(int threads);
  void makeCode();
  void sumRows(const float* a, Range rows, float* sums) const;
  Rows rowsAt(const float* a, Range tiles, float* sums) const;
  void runPart(const float* a, Output output, int part, float* own) const;
  void multiplyPair(const Rows& rows, int64_t pair, Output& output, const Scratch& scratch) const;
  void multiplyPlain(const Rows& rows, int64_t panel, Output& output) const;
  void multiply(const Step& step, Range tiles, Output& output) const;

  const PackedProduct& owner_;
  const int64_t m_, half_;
  bool copyA_ = false;
  int64_t stride_ = 0;  // floats, of rows of A as multiplied and of the sums
  int64_t pairs_ = 0;
  int rowParts_ = 1, columnParts_ = 1;
  RowTiles tiles_;  // of a half
  int64_t tilesOfBlock_ = 1, blockRows_ = 0;
  // Whether C goes past the caches, where it is aligned: it is more than they keep, and a tile's
  // lines of it would displace each other before they are stored.
  bool streams_ = false;
  const Brgemm* codes_[2][kCodes][kSizes] = {};  // by Output::streams
};

StrassenProduct::StrassenProduct(const PackedProduct& owner, int64_t m)
    : owner_(owner), m_(m), half_((m + 1) / 2) {
  const DeviceTraits& device = owner.stored.problem.device;
  pairs_ = panels().n / panels().width() / 2;
  choosePartition(std::max(1, device.threads));
  copyA_ = rowsShareSets(panels().k * 4, tiles_.size, device.l1Bytes);
  stride_ = panels().k + (copyA_ ? kPadding : 0);
  const int64_t kept = 2 * static_cast<int64_t>(device.l2Bytes) * std::max(1, device.threads);
  streams_ = panels().n % panels().lanes == 0 && m * panels().n * 4 > kept &&
             rowsShareSets(panels().n * 4, tiles_.size, device.l1Bytes);
  makeCode();
}

// Parts of rows, of columns, or both. Each has as many tiles as the others.
void StrassenProduct::choosePartition(int threads) {
  const int64_t units = pairs_ + plainPanels();
  const auto k = static_cast<double>(panels().k);
  double best = 0;
  int64_t tilesOfPart = 1;
  for (int rowParts = 1; rowParts <= threads; ++rowParts) {
    const int columnParts = threads / rowParts;
    const int64_t rows = (half_ + rowParts - 1) / rowParts;
    if (rowParts > 1 && columnParts > 1 && rows < kLeastRowsOfPart) continue;
    const int64_t tiles = (rows + owner_.rows - 1) / owner_.rows;
    const double tileRows = static_cast<double>(rows) / static_cast<double>(tiles);
    const auto pairsOfPart = static_cast<double>((units + columnParts - 1) / columnParts);
    const auto blocks = static_cast<double>((tiles + kMostTilesOfBlock - 1) / kMostTilesOfBlock);
    const double multiplied =
        static_cast<double>(tiles) * pairsOfPart * 7 * (k / 2 * tileRows + 60);
    const double differences = blocks * pairsOfPart * 4 * k / 2 * tileRows * 0.4;
    const double cycles = multiplied + differences + static_cast<double>(rows) * k / 4;
    if (best != 0 && cycles >= best) continue;
    best = cycles;
    rowParts_ = rowParts;
    columnParts_ = columnParts;
    tilesOfPart = tiles;
  }
  const int64_t count = std::min(half_, tilesOfPart * rowParts_);
  const int64_t size = (half_ + count - 1) / count;
  const int64_t small = count * size - half_;
  tiles_ = {static_cast<int>(size), count - small, small};
  const int64_t most = (count + rowParts_ - 1) / rowParts_;
  const int64_t blocks = (most + kMostTilesOfBlock - 1) / kMostTilesOfBlock;
  tilesOfBlock_ = (most + blocks - 1) / blocks;
  blockRows_ = tilesOfBlock_ * size;
}

void StrassenProduct::makeCode() {
  const Panels& panels = this->panels();
  for (int less = 0; less < kSizes; ++less) {
    // The last tile of an odd number of rows has one fewer below.
    const bool upper = less == 0 ? tiles_.large > 0 : less == 1 && tiles_.small > 0;
    const bool lower = odd() && less == (tiles_.small > 0 ? 2 : 1);
    if ((!upper && !lower) || tiles_.size - less < 1) continue;
    BrgemmSpec spec;
    spec.isa = owner_.stored.problem.device.isa;
    spec.tile.rows = tiles_.size - less;
    spec.tile.vectors = panels.vectors;
    spec.k = static_cast<int>(halfK());
    spec.aRowStride = stride_ * 4;
    spec.prefetchEvery = prefetchEvery(tilesOfBlock_, panels.vectors, panels.lanes);
    auto make = [&](Code code, bool differs) {
      spec.difference = differs;
      codes_[0][code][less] = &owner_.kernels.get(spec);
      if (!streams_) return;
      spec.tile.streams = !spec.tile.partial;
      codes_[1][code][less] = &owner_.kernels.get(spec);
      spec.tile.streams = false;
    };
    spec.tile.partial = true;
    make(Start, false), make(StartDiffer, true);
    spec.tile.addends = 1;
    make(Go, false), make(GoDiffer, true);
    spec.tile.partial = false;
    spec.tile.epilogue = owner_.problem.region.program;
    spec.tile.operands = owner_.problem.kinds;
    spec.tile.fetchAhead = static_cast<int>(spec.tile.rows * panels.n * 4);
    make(End, false), make(EndDiffer, true);
    spec.tile.addends = 2;
    make(EndTwo, false);
    spec.tile.addends = 0;
    spec.prefetchEvery = 0;
    spec.k = static_cast<int>(panels.k);
    for (int64_t panel = 2 * pairs_; panel < panels.count(); ++panel) {
      spec.tile.vectors = panels.vectorsOf(panel);
      spec.tile.maskLast = panel + 1 == panels.count() && panels.n % panels.lanes != 0;
      make(panel == 2 * pairs_ ? Plain : PlainLast, false);
    }
  }
}

size_t StrassenProduct::workspaceBytes() const {
  const int64_t parts = int64_t{rowParts_} * columnParts_;
  return static_cast<size_t>(parts * partFloats()) * sizeof(float);
}

// Where the products of these tiles read A.
StrassenProduct::Rows StrassenProduct::rowsAt(const float* a, Range tiles, float* sums) const {
  const int64_t rows = blockRows_, row = tiles_.firstRow(tiles.begin);
  const float* s12 = sums;
  const float* s34 = s12 + rows * stride_;
  if (copyA_) return {s34 + rows * stride_, s34 + 2 * rows * stride_, s12, s34, tiles};
  return {a + row * panels().k, a + (row + half_) * panels().k, s12, s34, tiles};
}

void StrassenProduct::sumRows(const float* a, Range rows, float* sums) const {
  const int64_t k = panels().k, capacity = blockRows_;
  const bool wide = panels().lanes == 16;
  for (int64_t row = rows.begin; row < rows.end; ++row) {
    const float* upper = a + row * k;
    const float* lower = row + half_ < m_ ? a + (row + half_) * k : nullptr;
    float* s12 = sums + (row - rows.begin) * stride_;
    float* s34 = s12 + capacity * stride_;
    const StrassenRow sum{.a11 = upper,
                          .a12 = upper + halfK(),
                          .a21 = lower,
                          .a22 = lower ? lower + halfK() : nullptr,
                          .s1 = s12,
                          .s2 = s12 + halfK(),
                          .s3 = s34,
                          .s4 = s34 + halfK(),
                          .count = halfK()};
    wide ? strassenRowAvx512(sum) : strassenRowAvx2(sum);
    if (!copyA_) continue;
    std::memcpy(s34 + capacity * stride_, upper, static_cast<size_t>(k) * sizeof(float));
    if (lower)
      std::memcpy(s34 + 2 * capacity * stride_, lower, static_cast<size_t>(k) * sizeof(float));
  }
}

void StrassenProduct::run(const RunArguments& arguments) const {
  Output output{owner_.pointers(arguments), false};
  output.streams =
      streams_ && output.pointers.elementsAligned(static_cast<size_t>(panels().lanes) * 4);
  auto* a = static_cast<const float*>(arguments.inputs[owner_.aPosition]);
  auto* workspace = static_cast<float*>(arguments.workspace);
  arguments.pool->run(rowParts_ * columnParts_,
                      [&](int part) { runPart(a, output, part, workspace + part * partFloats()); });
}

// Parts that share rows sum them each for itself: what one core writes another reads slowly.
void StrassenProduct::runPart(const float* a, Output output, int part, float* own) const {
  const Range tiles = partOf(tiles_.count(), part / columnParts_, rowParts_);
  const Range units = partOf(pairs_ + plainPanels(), part % columnParts_, columnParts_);
  const int64_t partials = blockRows_ * panels().width();
  Scratch scratch;
  float* sums = own;
  scratch.t1 = sums + sumFloats();
  scratch.t2 = scratch.t1 + quarter();
  scratch.x = scratch.t2 + quarter();
  scratch.u = scratch.x + partials;
  scratch.v = scratch.u + partials;
  scratch.y = scratch.v + partials;
  for (int64_t first = tiles.begin; first < tiles.end; first += tilesOfBlock_) {
    const Range block{first, std::min(first + tilesOfBlock_, tiles.end)};
    sumRows(a, {tiles_.firstRow(block.begin), tiles_.firstRow(block.end)}, sums);
    const Rows rows = rowsAt(a, block, sums);
    for (int64_t unit = units.begin; unit < units.end; ++unit) {
      if (unit < pairs_)
        multiplyPair(rows, unit, output, scratch);
      else
        multiplyPlain(rows, pairs_ + unit, output);
    }
  }
}

void StrassenProduct::multiplyPair(const Rows& rows, int64_t pair, Output& output,
                                   const Scratch& scratch) const {
  const Panels& panels = this->panels();
  const int64_t quarter = this->quarter(), left = 2 * pair * panels.width(),
                right = left + panels.width(), upper = tiles_.firstRow(rows.tiles.begin),
                lower = upper + half_;
  const float* b11 = owner_.weights + panels.offset(2 * pair);
  const float *b21 = b11 + quarter, *b12 = b21 + quarter, *b22 = b12 + quarter,
              *next = b22 + quarter;
  const float *a11 = rows.upper, *a12 = a11 + halfK(), *a22 = rows.lower + halfK();
  const float *s1 = rows.s12, *s2 = s1 + halfK(), *s3 = rows.s34, *s4 = s3 + halfK();
  const auto [t1, t2, x, u, v, y] = scratch;
  const Step steps[] = {
      {.code = Start, .a = a11, .b = b11, .prefetch = b12, .partial = x},
      {.code = Start,
       .a = s1,
       .b = b12,
       .prefetch = b22,
       .minus = b11,
       .difference = t1,
       .partial = y},
      {.code = Go,
       .a = s2,
       .b = b22,
       .prefetch = b21,
       .minus = t1,
       .difference = t2,
       .first = x,
       .partial = u},
      {.code = Go,
       .a = s3,
       .b = b22,
       .prefetch = next,
       .minus = b12,
       .difference = t1,
       .first = u,
       .partial = v},
      {.code = End,
       .a = a22,
       .b = b21,
       .prefetch = next + 2 * quarter,
       .minus = t2,
       .difference = t2,
       .first = v,
       .row = lower,
       .column = left},
      {.code = EndTwo,
       .a = s4,
       .b = b22,
       .prefetch = next + 3 * quarter,
       .first = y,
       .second = u,
       .row = upper,
       .column = right},
      {.code = EndTwo,
       .a = s4,
       .b = b22,
       .prefetch = next,
       .first = y,
       .second = v,
       .row = lower,
       .column = right,
       .taps = 0},
      {.code = End,
       .a = a12,
       .b = b21,
       .prefetch = next + quarter,
       .first = x,
       .row = upper,
       .column = left},
  };
  for (const Step& step : steps) multiply(step, rows.tiles, output);
}

void StrassenProduct::multiplyPlain(const Rows& rows, int64_t panel, Output& output) const {
  const int64_t column = panel * panels().width(), upper = tiles_.firstRow(rows.tiles.begin);
  const float* b = owner_.weights + panels().offset(panel);
  const int64_t index = panel - 2 * pairs_;
  for (int below = 0; below < 2; ++below)
    multiply({.code = index == 0 ? Plain : PlainLast,
              .a = below ? rows.lower : rows.upper,
              .b = b,
              .prefetch = b,
              .row = upper + below * half_,
              .column = column},
             rows.tiles, output);
}

void StrassenProduct::multiply(const Step& step, Range tiles, Output& output) const {
  const Panels& panels = this->panels();
  const int64_t zero = 0, base = tiles_.firstRow(tiles.begin), width = panels.width();
  BrgemmArguments tile{.c = {.rowStride = panels.n * 4,
                             .vectorStride = panels.lanes * 4,
                             .rowOperandStride = 4,
                             .tailLanes = (panels.n - 1) % panels.lanes + 1},
                       .b = step.b,
                       .tapOffsets = &zero,
                       .taps = step.taps,
                       .prefetch = step.prefetch,
                       .minus = step.minus,
                       .difference = step.difference};
  auto call = [&](int64_t from, int64_t to, int less, bool differs) {
    if (from >= to) return;
    const int64_t row = tiles_.firstRow(from) - base;
    tile.a = step.a + row * stride_;
    tile.c.tiles = to - from;
    if (step.first) tile.c.addends[0] = step.first + row * width;
    if (step.second) tile.c.addends[1] = step.second + row * width;
    if (step.partial)
      tile.c.partial = step.partial + row * width;
    else
      tile.c.pointers = output.pointers.at(0, (step.row + row) * panels.n + step.column,
                                           step.column, step.row + row);
    const Brgemm& code = *codes_[output.streams][step.code + (differs ? 1 : 0)][less];
    code(tile);
    code.advancePrefetch(tile);
  };
  // Of one size each; the last one has a row less where C ends.
  auto callAll = [&](int64_t from, int64_t to, bool differs) {
    const bool ends = odd() && step.row >= half_ && to == tiles_.count() && from < to;
    if (ends) --to;
    call(from, std::min(to, std::max(from, tiles_.large)), 0, differs);
    call(std::max(from, tiles_.large), to, 1, differs);
    if (ends) call(to, to + 1, tiles_.small > 0 ? 2 : 1, differs);
  };
  int64_t from = tiles.begin;
  if (step.difference) callAll(from, from + 1, true), ++from;
  if (step.difference) tile.b = step.difference;
  callAll(from, tiles.end, false);
}

}  // namespace

std::unique_ptr<Executable> strassenProduct(const PackedProduct& owner, int64_t m) {
  return std::make_unique<StrassenProduct>(owner, m);
}

}  // namespace carnot
