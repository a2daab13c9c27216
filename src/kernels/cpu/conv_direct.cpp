#include <fmt/core.h>

#include <algorithm>
#include <cstring>

#include "base/threads.h"
#include "kernels/cpu/blocked_conv.h"
#include "kernels/cpu/tile_kernels.h"

namespace carnot {
namespace {

constexpr int64_t kMaxTaps = 1 << 20;
constexpr int64_t kTilesAhead = 2;  // how far ahead of its use a tile's memory is fetched

// The weights of each group as panels of `vectors` blocks of output channels, the last panel only
// as wide as it needs. A panel is a list of rows, one for each product of an output: for input
// blocks, kernel rows, kernel columns and the channels of the block; from a plain input for
// channels, kernel rows and kernel columns.
struct ConvPanels {
  int vectors = 1;
  bool plainInput = false;
  int64_t block, blocks, rows, count;

  ConvPanels(const ConvProblem& conv, int vectors, bool plainInput)
      : vectors(vectors),
        plainInput(plainInput),
        block(conv.block),
        blocks(conv.blocksOf(conv.outputs)),
        rows(conv.inputs * conv.taps()),
        count((blocks + vectors - 1) / vectors) {}
  int vectorsOf(int64_t panel) const {
    return static_cast<int>(std::min<int64_t>(vectors, blocks - panel * vectors));
  }
  int64_t groupFloats() const { return blocks * block * rows; }
  int64_t offset(int64_t group, int64_t panel) const {
    return group * groupFloats() + panel * vectors * block * rows;
  }
};

std::variant<Refusal, ConvProblem> analyze(const Problem& problem) {
  if (!problem.device.isa.has(Isa::Avx2)) return Refusal{"is generated for AVX2 and AVX-512"};
  auto conv = convProblem(problem);
  if (auto* known = std::get_if<ConvProblem>(&conv)) {
    if (known->group > 1 && known->inputs == 1 && known->outputs == 1)
      return Refusal{"leaves one channel to one to the depthwise kernel"};
    if (known->group > 1 && !known->mergeGroups())
      return Refusal{
          fmt::format("{} to {} channels of a group do not fill blocks of {}, and {} "
                      "groups are too many for one",
                      known->inputs, known->outputs, known->block, known->group)};
    if (known->inputs * known->taps() > kMaxTaps) return Refusal{"the window is beyond all bounds"};
  }
  return conv;
}

// ---- Weights.

void packPanel(const ConvProblem& conv, const ConvPanels& panels, const float* w, int64_t group,
               int64_t panel, float* out) {
  const int64_t taps = conv.taps();
  const int64_t width = panels.vectorsOf(panel) * panels.block;
  const int64_t first = panel * panels.vectors * panels.block;
  const int64_t present = std::clamp<int64_t>(conv.outputsOf(group) - first, 0, width);
  const int64_t inputs = conv.inputs / conv.together, outputs = conv.outputs / conv.together;
  const float* weights = w + (group * conv.outputs + first) * inputs * taps;
  auto putRow = [&](int64_t channel, int64_t tap) {
    for (int64_t i = 0; i < present; ++i) {
      const bool meet = (first + i) / outputs == channel / inputs;
      out[i] = meet ? weights[(i * inputs + channel % inputs) * taps + tap] : 0.0f;
    }
    std::fill(out + present, out + width, 0.0f);
    out += width;
  };
  const int64_t step = panels.plainInput ? 1 : panels.block;
  const int64_t channels = conv.inputsOf(group);
  for (int64_t channel = 0; channel < channels; channel += step)
    for (int64_t tap = 0; tap < taps; ++tap)
      for (int64_t i = channel; i < std::min(channel + step, channels); ++i) putRow(i, tap);
}

Tensor packWeights(const ConvProblem& conv, const ConvPanels& panels, const float* w) {
  Tensor packed(DType::F32, {conv.group * panels.groupFloats()});
  if (conv.lastInputs < conv.inputs) std::memset(packed.as<float>(), 0, packed.bytes());
  for (int64_t group = 0; group < conv.group; ++group)
    for (int64_t panel = 0; panel < panels.count; ++panel)
      packPanel(conv, panels, w, group, panel, packed.as<float>() + panels.offset(group, panel));
  return packed;
}

// ---- At run time.

class BoundConv;

// Output pixels are handled in units: lines of the output cut into tiles, or, where windows are
// single unpadded pixels, tiles of the image as one long line.
class ConvExecutable : public Executable {
 public:
  ConvExecutable(const BoundConv& owner, const ConvShapes& shapes);
  size_t workspaceBytes() const override;
  void run(const RunArguments& arguments) const override;

 private:
  enum Stage { Only, First, Middle, Last, kStages };
  // Units [begin, end) of one image, and where the input of tile 0 of the first lies.
  struct Piece {
    int64_t image;
    Range units;
  };

  void choosePartition(int threads);
  void chooseBlocks(size_t l2Bytes);
  void fillTapOffsets();
  void makeKernels();
  int64_t inputRows(int64_t units) const;
  void runPart(const RunArguments& arguments, TilePointers pointers, int part) const;
  void copyPiece(const float* x, int64_t group, const Piece& piece, float* to) const;
  void multiplyPiece(const Piece& piece, const float* a, TilePointers& pointers, int64_t block,
                     const Brgemm* const kernels[2], BrgemmArguments& tile) const;
  const ConvProblem& conv() const;
  const ConvPanels& panels() const;

  const BoundConv& owner_;
  ConvShapes shapes_;
  bool flat_, copies_;
  RowTiles tiles_;             // of a line; of the image when flat
  int64_t units_;              // of an image
  int64_t pixelFloats_;        // between neighbours of a line of the input as it is read
  int64_t lineFloats_ = 0;     // between its lines
  int64_t channelFloats_ = 0;  // between its channel blocks, or channels of a plain input
  int64_t channelSteps_;       // blocks, or channels, of a group
  int spatialParts_ = 1, channelParts_ = 1;
  int64_t unitsOfBand_ = 1, imagesOfBand_ = 1;
  int64_t stepsOfChunk_ = 1, chunks_ = 1;  // channel steps multiplied in one pass
  std::vector<int64_t> tapOffsets_;        // bytes
  // By last group, stage, narrow last panel, small tile.
  const Brgemm* kernels_[2][kStages][2][2] = {};
};

class BoundConv : public BoundBlockedConv {
 public:
  explicit BoundConv(const BindArguments& arguments)
      : BoundBlockedConv(arguments, analyze, /*mayReadPlain=*/true) {
    const int vectors = setting("vectors", 1, 8);
    rows_ = setting("rows", 1, BrgemmSpec::maxRows(conv_.block, vectors));
    if (readsPlain() && conv_.group > 1) throwBadParameters("groups need a blocked input");
    panels_ = std::make_unique<ConvPanels>(conv_, vectors, readsPlain());
    takeWeights(arguments, conv_.group * panels_->groupFloats());
  }

  std::unique_ptr<Executable> specialize(const ConcreteShapes& shapes) const override {
    return std::make_unique<ConvExecutable>(*this, shapesOf(shapes));
  }

 private:
  friend class ConvExecutable;

  std::unique_ptr<const ConvPanels> panels_;
  int rows_ = 1;
  BrgemmKernels kernels_;
};

const ConvProblem& ConvExecutable::conv() const { return owner_.conv_; }
const ConvPanels& ConvExecutable::panels() const { return *owner_.panels_; }

ConvExecutable::ConvExecutable(const BoundConv& owner, const ConvShapes& shapes)
    : owner_(owner), shapes_(shapes) {
  const DeviceTraits& device = owner.stored_.problem.device;
  const bool plain = panels().plainInput;
  flat_ = conv().height.trivial() && conv().width.trivial();
  copies_ = conv().height.padded() || conv().width.padded();
  pixelFloats_ = plain ? 1 : conv().block;
  channelSteps_ = plain ? conv().inputs : conv().blocksOf(conv().inputs);
  const int64_t pixels = shapes.outHeight * shapes.outWidth;
  tiles_ = rowTiles(flat_ ? pixels : shapes.outWidth, owner.rows_);
  units_ = flat_ ? tiles_.count() : shapes.outHeight;
  if (shapes.images * pixels == 0) {
    units_ = 0;
    return;
  }
  choosePartition(std::max(1, device.threads));
  chooseBlocks(device.l2Bytes);
  const int64_t lineElements = copies_ ? conv().width.span(shapes.outWidth) : shapes.inWidth;
  const int64_t lines = copies_ ? inputRows(unitsOfBand_) : shapes.inHeight;
  lineFloats_ = lineElements * pixelFloats_;
  channelFloats_ = lines * lineFloats_;
  fillTapOffsets();
  makeKernels();
}

// Lines of the input under `units` lines of the output.
int64_t ConvExecutable::inputRows(int64_t units) const { return conv().height.span(units); }

// Threads split units or panels, whichever leaves the busiest one less work and traffic.
void ConvExecutable::choosePartition(int threads) {
  const ConvPanels& panels = this->panels();
  const double unitPixels =
      static_cast<double>(shapes_.outHeight * shapes_.outWidth) / static_cast<double>(units_);
  const double unitCycles = unitPixels * panels.vectors * static_cast<double>(panels.rows) / 2;
  const double weightBytes = static_cast<double>(conv().group * panels.groupFloats()) * 4;
  const double inputBytes = static_cast<double>(shapes_.images * shapes_.inHeight *
                                                shapes_.inWidth * conv().group * conv().inputs) *
                            4;
  const int64_t units = shapes_.images * units_, channels = conv().group * panels.count;
  double best = 0;
  for (int spatial = 1; spatial <= threads; ++spatial) {
    for (int channel : {threads / spatial, 1}) {
      const int64_t busiest =
          ((units + spatial - 1) / spatial) * ((channels + channel - 1) / channel);
      double cycles = static_cast<double>(busiest) * unitCycles + weightBytes / channel / 16 +
                      inputBytes / spatial / (copies_ ? 6 : 16);
      if (spatial * channel > 1) cycles += 8000;
      if (best != 0 && cycles >= best) continue;
      best = cycles;
      spatialParts_ = spatial;
      channelParts_ = channel;
    }
  }
}

// A band of the input, and the weights that several tiles share, stay in the second cache.
void ConvExecutable::chooseBlocks(size_t l2Bytes) {
  const int64_t share = static_cast<int64_t>(l2Bytes) / 2 / static_cast<int64_t>(sizeof(float));
  const int64_t channels = channelSteps_ * pixelFloats_;
  const int64_t unitsOfPart =
      std::min(units_, (shapes_.images * units_ + spatialParts_ - 1) / spatialParts_);
  auto bandFloats = [&](int64_t units) {
    if (flat_) return channels * units * tiles_.size;
    return channels * inputRows(units) *
           (copies_ ? conv().width.span(shapes_.outWidth) : shapes_.inWidth);
  };
  int64_t bands = 1;
  while (bands < unitsOfPart && bandFloats((unitsOfPart + bands - 1) / bands) > share) ++bands;
  unitsOfBand_ = (unitsOfPart + bands - 1) / bands;
  imagesOfBand_ = 1;
  if (unitsOfBand_ == units_)
    imagesOfBand_ = std::clamp<int64_t>(share / bandFloats(units_), 1, shapes_.images);

  // Partial sums cost little; a panel that leaves the cache between two tiles costs more.
  const int64_t rowsOfStep = panels().plainInput ? conv().taps() : conv().taps() * panels().block;
  const int64_t stepFloats = rowsOfStep * panels().vectors * panels().block;
  const bool reused = unitsOfBand_ * imagesOfBand_ > 1 || tiles_.count() > 1;
  stepsOfChunk_ =
      reused ? std::clamp<int64_t>(share / stepFloats, 1, channelSteps_) : channelSteps_;
  chunks_ = (channelSteps_ + stepsOfChunk_ - 1) / stepsOfChunk_;
  stepsOfChunk_ = (channelSteps_ + chunks_ - 1) / chunks_;
  chunks_ = (channelSteps_ + stepsOfChunk_ - 1) / stepsOfChunk_;
}

void ConvExecutable::fillTapOffsets() {
  const ConvProblem& conv = this->conv();
  for (int64_t step = 0; step < channelSteps_; ++step)
    for (int64_t row = 0; row < conv.height.kernel; ++row) {
      const int64_t line = step * channelFloats_ + row * conv.height.dilation * lineFloats_;
      const int64_t columns = panels().plainInput ? 1 : conv.width.kernel;
      for (int64_t column = 0; column < columns; ++column)
        tapOffsets_.push_back((line + column * conv.width.dilation * pixelFloats_) * 4);
    }
}

void ConvExecutable::makeKernels() {
  const ConvProblem& conv = this->conv();
  const bool plain = panels().plainInput;
  const int64_t tilesOfBand = unitsOfBand_ * imagesOfBand_ * (flat_ ? 1 : tiles_.count());
  for (int at = 0; at < 2 * kStages; ++at) {
    const int ofLast = at / kStages, stage = at % kStages;
    if (!ofLast && conv.group == 1) continue;
    const int64_t tail = plain ? 0 : conv.inputsOf(ofLast ? conv.group - 1 : 0) % conv.block;
    const bool exists = stage == Only ? chunks_ == 1 : stage == Middle ? chunks_ > 2 : chunks_ > 1;
    const bool last = stage == Only || stage == Last;
    for (int narrow = 0; narrow < 2; ++narrow)
      for (int small = 0; small < 2; ++small) {
        if (!exists || (small ? tiles_.small : tiles_.large) == 0) continue;
        BrgemmSpec spec;
        spec.isa = owner_.stored_.problem.device.isa;
        spec.tile.rows = tiles_.size - small;
        spec.tile.vectors = panels().vectorsOf(narrow ? panels().count - 1 : 0);
        spec.k = static_cast<int>(plain ? conv.width.kernel : conv.block);
        spec.tailK = last ? static_cast<int>(tail) : 0;
        spec.aRowStride = conv.width.stride * pixelFloats_ * 4;
        spec.aKStride = (plain ? conv.width.dilation : 1) * 4;
        if (!copies_ && !plain)
          spec.aFetchAhead = static_cast<int>(kTilesAhead * spec.tile.rows * spec.aRowStride);
        spec.tile.accumulate = stage == Middle || stage == Last;
        spec.prefetchEvery =
            prefetchEvery(tilesOfBand, panels().vectors, static_cast<int>(conv.block));
        if (last) {
          spec.tile.epilogue = conv.region.program;
          spec.tile.fetchAhead = static_cast<int>(kTilesAhead * spec.tile.rows * conv.block * 4);
          for (const BlockedOperand& operand : conv.operands)
            spec.tile.operands.push_back(operand.kind);
        }
        kernels_[ofLast][stage][narrow][small] = &owner_.kernels_.get(spec);
      }
  }
}

size_t ConvExecutable::workspaceBytes() const {
  if (units_ == 0 || !copies_) return 0;
  return static_cast<size_t>(spatialParts_ * channelParts_ * imagesOfBand_ * channelSteps_ *
                             channelFloats_) *
         sizeof(float);
}

void ConvExecutable::run(const RunArguments& arguments) const {
  if (units_ == 0) return;
  const TilePointers pointers = owner_.pointersOf(arguments, shapes_);
  arguments.pool->run(spatialParts_ * channelParts_,
                      [&](int part) { runPart(arguments, pointers, part); });
}

void ConvExecutable::runPart(const RunArguments& arguments, TilePointers pointers, int part) const {
  const ConvProblem& conv = this->conv();
  const ConvPanels& panels = this->panels();
  const Range units = partOf(shapes_.images * units_, part / channelParts_, spatialParts_);
  const Range channels = partOf(conv.group * panels.count, part % channelParts_, channelParts_);
  const float* x = owner_.inputOf(arguments);
  const int64_t pieceFloats = copies_ ? channelSteps_ * channelFloats_ : 0;
  float* copy = static_cast<float*>(arguments.workspace) + part * imagesOfBand_ * pieceFloats;
  const int64_t pixels = shapes_.outHeight * shapes_.outWidth;
  BrgemmArguments tile{.c = {.rowStride = conv.block * 4, .vectorStride = pixels * conv.block * 4}};

  // Where the first window of a piece starts in the input as it is read.
  auto inputOf = [&](int64_t group, const Piece& piece, int64_t index) {
    if (copies_) return static_cast<const float*>(copy + index * pieceFloats);
    const float* image = x + (piece.image * conv.group + group) * channelSteps_ * channelFloats_;
    return flat_ ? image + tiles_.firstRow(piece.units.begin) * pixelFloats_
                 : image + piece.units.begin * conv.height.stride * lineFloats_;
  };
  for (int64_t unit = units.begin; unit < units.end;) {
    // A band: part of one image, or several whole ones.
    const Piece first{unit / units_, {unit % units_, 0}};
    const bool whole =
        first.units.begin == 0 && units.end - unit >= units_ && unitsOfBand_ == units_;
    const int64_t pieces = whole ? std::min(imagesOfBand_, (units.end - unit) / units_) : 1;
    const int64_t length =
        whole ? units_ : std::min({unitsOfBand_, units_ - first.units.begin, units.end - unit});
    auto pieceAt = [&](int64_t i) {
      return Piece{first.image + i, {first.units.begin, first.units.begin + length}};
    };
    for (int64_t group = channels.begin / panels.count; group * panels.count < channels.end;
         ++group) {
      if (copies_)
        for (int64_t i = 0; i < pieces; ++i)
          copyPiece(x, group, pieceAt(i), copy + i * pieceFloats);
      const int64_t firstPanel = std::max(channels.begin - group * panels.count, int64_t{0});
      const int64_t lastPanel = std::min(channels.end - group * panels.count, panels.count);
      for (int64_t panel = firstPanel; panel < lastPanel; ++panel) {
        const int64_t width = panels.vectorsOf(panel) * panels.block;
        const int64_t block = group * panels.blocks + panel * panels.vectors;
        tile.b = owner_.weights_ + panels.offset(group, panel);
        for (int64_t chunk = 0; chunk < chunks_; ++chunk) {
          const Stage stage = chunks_ == 1          ? Only
                              : chunk == 0          ? First
                              : chunk + 1 < chunks_ ? Middle
                                                    : Last;
          const int64_t step = chunk * stepsOfChunk_;
          const int64_t steps = std::min(stepsOfChunk_, channelSteps_ - step);
          const int64_t tapsOfStep = static_cast<int64_t>(tapOffsets_.size()) / channelSteps_;
          const bool tail =
              !panels.plainInput && chunk + 1 == chunks_ && conv.inputsOf(group) % conv.block != 0;
          tile.tapOffsets = tapOffsets_.data() + step * tapsOfStep;
          tile.taps = (steps - tail) * tapsOfStep;
          tile.tailTaps = tail * tapsOfStep;
          const int64_t rowsOfStep = conv.taps() * (panels.plainInput ? 1 : panels.block);
          tile.prefetch = tile.b + steps * rowsOfStep * width;
          for (int64_t i = 0; i < pieces; ++i)
            multiplyPiece(pieceAt(i), inputOf(group, pieceAt(i), i), pointers, block,
                          kernels_[group + 1 == conv.group][stage][panel + 1 == panels.count],
                          tile);
          tile.b += steps * rowsOfStep * width;
        }
      }
    }
    unit += pieces * length;
  }
}

// All tiles of a piece for one panel and chunk; `block` is the panel's first block of C.
void ConvExecutable::multiplyPiece(const Piece& piece, const float* a, TilePointers& pointers,
                                   int64_t block, const Brgemm* const kernels[2],
                                   BrgemmArguments& tile) const {
  const int64_t blockFloats = conv().block;
  const int64_t start = block * shapes_.outHeight * shapes_.outWidth;
  auto multiply = [&](const float* from, int64_t pixel, int64_t tiles, bool small) {
    if (tiles <= 0) return;
    tile.a = from;
    tile.c.tiles = tiles;
    tile.c.pointers = pointers.at(piece.image, (start + pixel) * blockFloats, block * blockFloats);
    (*kernels[small])(tile);
    kernels[small]->advancePrefetch(tile);
  };
  const int64_t step = conv().width.stride * pixelFloats_;  // of the input under a pixel
  if (flat_) {
    const int64_t firstPixel = tiles_.firstRow(piece.units.begin);
    const int64_t split = std::clamp(tiles_.large, piece.units.begin, piece.units.end);
    const int64_t splitPixel = tiles_.firstRow(split);
    multiply(a, firstPixel, split - piece.units.begin, false);
    multiply(a + (splitPixel - firstPixel) * step, splitPixel, piece.units.end - split, true);
    return;
  }
  const int64_t splitPixel = tiles_.firstRow(tiles_.large);
  for (int64_t line = piece.units.begin; line < piece.units.end; ++line) {
    const int64_t pixel = line * shapes_.outWidth;
    multiply(a, pixel, tiles_.large, false);
    multiply(a + splitPixel * step, pixel + splitPixel, tiles_.small, true);
    a += conv().height.stride * lineFloats_;
  }
}

// The input lines under a piece, with zeros where windows reach beyond the image.
void ConvExecutable::copyPiece(const float* x, int64_t group, const Piece& piece, float* to) const {
  const WindowAxis &height = conv().height, &width = conv().width;
  const int64_t lines = inputRows(piece.units.size());
  const int64_t lineElements = lineFloats_ / pixelFloats_;
  const int64_t firstLine = piece.units.begin * height.stride - height.padBegin;
  const int64_t left = std::min(width.padBegin, lineElements);
  const int64_t inside = std::clamp<int64_t>(lineElements - left, 0, shapes_.inWidth);
  const int64_t right = lineElements - left - inside;
  const int64_t imageFloats = shapes_.inHeight * shapes_.inWidth * pixelFloats_;
  const float* channel = x + (piece.image * conv().group + group) * channelSteps_ * imageFloats;
  for (int64_t step = 0; step < channelSteps_; ++step, channel += imageFloats) {
    float* line = to + step * channelFloats_;
    for (int64_t i = firstLine; i < firstLine + lines; ++i, line += lineFloats_) {
      if (i < 0 || i >= shapes_.inHeight) {
        std::fill(line, line + lineFloats_, 0.0f);
        continue;
      }
      std::fill(line, line + left * pixelFloats_, 0.0f);
      std::memcpy(line + left * pixelFloats_, channel + i * shapes_.inWidth * pixelFloats_,
                  static_cast<size_t>(inside * pixelFloats_) * sizeof(float));
      std::fill(line + lineFloats_ - right * pixelFloats_, line + lineFloats_, 0.0f);
    }
  }
}

// ---- The kernel.

class ConvDirect : public Kernel {
 public:
  std::string_view name() const override { return "cpu/conv/direct"; }
  uint32_t revision() const override { return 2; }

  Support supports(const Problem& problem) const override {
    auto analysis = analyze(problem);
    if (auto* refusal = std::get_if<Refusal>(&analysis)) return *refusal;
    const ConvProblem& conv = std::get<ConvProblem>(analysis);
    const int64_t blocks = conv.blocksOf(conv.outputs);
    struct Tile {
      int64_t rows, vectors;
    };
    std::vector<Tile> tiles;
    if (blocks == 1) {
      tiles = {{conv.block == 16 ? 28 : 12, 1}};
    } else {
      tiles =
          conv.block == 16 ? std::vector<Tile>{{14, 2}, {7, 4}} : std::vector<Tile>{{6, 2}, {3, 4}};
      if (blocks % 3 == 0) tiles.push_back({conv.block == 16 ? 9 : 4, 3});
    }
    std::vector<Configuration> configurations;
    auto add = [&](Layout xLayout) {
      for (auto [rows, vectors] : tiles) {
        if (vectors > blocks) continue;
        configurations.push_back({{{"rows", rows}, {"vectors", vectors}}, {}, {}});
        conv.setLayouts(problem, xLayout, configurations.back());
      }
    };
    // A few channels read plain save padding them to a block.
    if (conv.group == 1 && conv.inputs < conv.block && conv.mayReadPlain()) add(Layout::plain());
    add(Layout::channelBlocked(conv.block));
    return configurations;
  }

  double estimate(const Problem& problem, const Configuration& configuration,
                  const ConcreteShapes& shapes) const override {
    const ConvProblem conv = std::get<ConvProblem>(analyze(problem));
    const ConvPanels panels(conv, static_cast<int>(parameter(configuration, "vectors", 1, 8)),
                            configuration.inputs[static_cast<size_t>(conv.x)].isPlain());
    const int rows = static_cast<int>(parameter(configuration, "rows", 1, 32));
    const std::vector<int64_t>& out = shapes.outputs[0];
    int64_t length = conv.upright ? out[2] : out.back();
    if (conv.height.trivial() && conv.width.trivial() && !conv.line) length *= out[2];
    const RowTiles tiles = rowTiles(std::max<int64_t>(1, length), rows);
    // Sums in flight hide the latency of 4 cycles of two units; the tile's loads are two a cycle.
    const double size = tiles.size, vectors = panels.vectors;
    const double cycles = std::max({size * vectors / 2, (size + vectors) / 2, 4.0});
    const double padded =
        static_cast<double>(panels.blocks * panels.block) / static_cast<double>(conv.outputs);
    return roofline(costAt(problem, shapes), problem.device,
                    (0.9 + 0.001 * size) * size * vectors / 2 / cycles / padded /
                        static_cast<double>(conv.together));
  }

  Prepared prepare(const Problem& problem, const Configuration& configuration) const override {
    const ConvProblem conv = std::get<ConvProblem>(analyze(problem));
    const ConvPanels panels(conv, static_cast<int>(parameter(configuration, "vectors", 1, 8)),
                            configuration.inputs[static_cast<size_t>(conv.x)].isPlain());
    const Tensor& w = *problem.inputs[static_cast<size_t>(conv.w)].constant;
    return preparedConv(problem, configuration, conv,
                        packWeights(conv, panels, static_cast<const float*>(w.data())));
  }

  std::unique_ptr<BoundKernel> bind(const BindArguments& arguments) const override {
    return std::make_unique<BoundConv>(arguments);
  }
};

}  // namespace

const Kernel& convDirect() {
  static const ConvDirect kernel;
  return kernel;
}

}  // namespace carnot
