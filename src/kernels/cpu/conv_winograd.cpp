#include <fmt/core.h>

#include <algorithm>

#include "base/threads.h"
#include "kernels/cpu/blocked_conv.h"
#include "kernels/cpu/tile_kernels.h"
#include "kernels/cpu/winograd_loops.h"

namespace carnot {

void WinogradForm::weights(const float* w, double* u) const {
  constexpr double a = kNear, b = kFar, a2 = a * a, b2 = b * b;
  // G, a row for each position.
  constexpr double atNear = 1 / (2 * a2 * (a2 - b2)), atFar = 1 / (2 * b2 * (b2 - a2));
  constexpr double ofFour[6][3] = {{1 / (a2 * b2), 0, 0},
                                   {atNear, atNear * a, atNear * a2},
                                   {atNear, -atNear * a, atNear * a2},
                                   {atFar, atFar * b, atFar * b2},
                                   {atFar, -atFar * b, atFar * b2},
                                   {0, 0, 1}};
  constexpr double ofTwo[4][3] = {{1, 0, 0}, {0.5, 0.5, 0.5}, {0.5, -0.5, 0.5}, {0, 0, 1}};
  const auto* g = outputs == 4 ? ofFour : ofTwo;
  for (int64_t i = 0; i < inputs(); ++i) {
    double half[3];
    for (int column = 0; column < 3; ++column)
      half[column] = g[i][0] * w[column] + g[i][1] * w[3 + column] + g[i][2] * w[6 + column];
    for (int64_t j = 0; j < inputs(); ++j)
      u[i * inputs() + j] = g[j][0] * half[0] + g[j][1] * half[1] + g[j][2] * half[2];
  }
}

namespace {

constexpr int64_t kMaxPositions = WinogradForm::kMaxInputs * WinogradForm::kMaxInputs;
constexpr int kFinishedPixels = 4;  // by one turn of the epilogue's loop
constexpr int kFetchedPixels = 32;  // ahead of their reading

std::variant<Refusal, ConvProblem> analyze(const Problem& problem) {
  if (!problem.device.isa.has(Isa::Avx2)) return Refusal{"is generated for AVX2 and AVX-512"};
  auto conv = convProblem(problem);
  if (auto* known = std::get_if<ConvProblem>(&conv)) {
    for (const WindowAxis& axis : {known->height, known->width})
      if (known->line || axis.kernel != 3 || axis.stride != 1 || axis.dilation != 1)
        return Refusal{"takes windows of 3 x 3, strides and dilations of 1"};
    if (known->group != 1) return Refusal{"takes one group"};
    if (known->inputs < known->block || known->outputs < known->block)
      return Refusal{fmt::format("{} to {} channels are too few to pay for the transforms",
                                 known->inputs, known->outputs)};
  }
  return conv;
}

// The transformed weights: for each position panels of `vectors` blocks of output channels, the
// last only as wide as it needs; a row of a panel for each input channel.
struct Panels {
  WinogradForm form;
  int vectors = 1;
  int64_t block, blocks, k, count;

  Panels(const ConvProblem& conv, WinogradForm form, int vectors)
      : form(form),
        vectors(vectors),
        block(conv.block),
        blocks(conv.outputBlocks()),
        k(conv.inputs),
        count((blocks + vectors - 1) / vectors) {}
  int vectorsOf(int64_t panel) const {
    return static_cast<int>(std::min<int64_t>(vectors, blocks - panel * vectors));
  }
  int64_t positionFloats() const { return blocks * block * k; }
  int64_t floats() const { return form.positions() * positionFloats(); }
  int64_t offset(int64_t position, int64_t panel) const {
    return position * positionFloats() + panel * vectors * block * k;
  }
};

Tensor packWeights(const ConvProblem& conv, const Panels& panels, const float* w) {
  Tensor packed(DType::F32, {panels.floats()});
  float* out = packed.as<float>();
  std::fill(out, out + packed.count(), 0.0f);
  double u[kMaxPositions];
  for (int64_t channel = 0; channel < conv.outputs; ++channel) {
    const int64_t panel = channel / (panels.vectors * panels.block);
    const int64_t width = panels.vectorsOf(panel) * panels.block;
    float* column = out + panels.offset(0, panel) + channel % (panels.vectors * panels.block);
    for (int64_t k = 0; k < conv.inputs; ++k, w += 9) {
      panels.form.weights(w, u);
      for (int64_t position = 0; position < panels.form.positions(); ++position)
        column[position * panels.positionFloats() + k * width] = static_cast<float>(u[position]);
    }
  }
  return packed;
}

// Throws Error (InvalidModel) for another form than the two.
WinogradForm formOf(const Configuration& configuration) {
  const int64_t pixels = parameter(configuration, "pixels", 2, 4);
  if (pixels == 3) throwBadParameters("tiles are of 2 or 4 pixels");
  return {pixels};
}

class BoundWinograd;

// Tiles of all images in one row, in groups: a group's tiles are transformed, multiplied position
// by position, and transformed back.
class WinogradExecutable : public Executable {
 public:
  WinogradExecutable(const BoundWinograd& owner, const ConvShapes& shapes);
  size_t workspaceBytes() const override;
  void run(const RunArguments& arguments) const override;

 private:
  struct Tile {
    int64_t image, line, column;  // of its first pixel
  };

  void choosePartition(int threads, size_t l2Bytes);
  void makeKernels();
  Tile tileAt(int64_t tile) const;
  int64_t groupsOf(int64_t tiles) const { return (tiles + tilesOfGroup_ - 1) / tilesOfGroup_; }
  int64_t partFloats() const { return positions_ * (vStep_ + mStep_); }
  void runPart(const RunArguments& arguments, TilePointers& pointers, int part) const;
  void transformInput(const float* x, Range tiles, float* v) const;
  void multiply(int64_t tiles, Range panels, const float* v, float* m) const;
  void transformOutput(Range tiles, Range blocks, const float* m, float* y,
                       TilePointers& pointers) const;
  void finish(Range tiles, int64_t block, TilePointers& pointers) const;
  const ConvProblem& conv() const;
  const Panels& panels() const;

  const BoundWinograd& owner_;
  ConvShapes shapes_;
  const int64_t out_, in_, positions_;  // of a tile: pixels along an axis; in all
  int64_t tileColumns_, tilesOfImage_, tiles_;
  int spatialParts_ = 1, channelParts_ = 1;
  int64_t tilesOfGroup_ = 1;
  int64_t rowFloats_;                      // of a tile's channels at one position
  int64_t vStep_ = 0, mStep_ = 0;          // floats from position to position
  std::vector<const Brgemm*> kernels_[2];  // by narrow last panel, rows of the tile
  const Brgemm* finish_[2] = {};           // one pixel, kFinishedPixels; none without a tail
};

class BoundWinograd : public BoundBlockedConv {
 public:
  explicit BoundWinograd(const BindArguments& arguments) : BoundBlockedConv(arguments, analyze) {
    const int vectors = setting("vectors", 1, 8);
    rows_ = setting("rows", 1, BrgemmSpec::maxRows(conv_.block, vectors));
    const WinogradForm form = formOf(stored_.configuration);
    panels_ = std::make_unique<Panels>(conv_, form, vectors);
    takeWeights(arguments, panels_->floats());
    loops_ = &(conv_.block == 16 ? winogradLoopsAvx512 : winogradLoopsAvx2)(form.outputs);
  }

  std::unique_ptr<Executable> specialize(const ConcreteShapes& shapes) const override {
    return std::make_unique<WinogradExecutable>(*this, shapesOf(shapes));
  }

 private:
  friend class WinogradExecutable;

  std::unique_ptr<const Panels> panels_;
  int rows_ = 1;
  const WinogradLoops* loops_ = nullptr;
  BrgemmKernels kernels_;
};

const ConvProblem& WinogradExecutable::conv() const { return owner_.conv_; }
const Panels& WinogradExecutable::panels() const { return *owner_.panels_; }

WinogradExecutable::WinogradExecutable(const BoundWinograd& owner, const ConvShapes& shapes)
    : owner_(owner),
      shapes_(shapes),
      out_(owner.panels_->form.outputs),
      in_(owner.panels_->form.inputs()),
      positions_(owner.panels_->form.positions()),
      rowFloats_(owner.conv_.inputBlocks() * owner.conv_.block) {
  tileColumns_ = (shapes.outWidth + out_ - 1) / out_;
  tilesOfImage_ = tileColumns_ * ((shapes.outHeight + out_ - 1) / out_);
  tiles_ = shapes.images * tilesOfImage_;
  if (tiles_ == 0) return;
  const DeviceTraits& device = owner.stored_.problem.device;
  choosePartition(std::max(1, device.threads), device.l2Bytes);
  const int64_t panelsOfPart = (panels().count + channelParts_ - 1) / channelParts_;
  // A line more, so that positions do not meet in one set of the caches.
  vStep_ = tilesOfGroup_ * rowFloats_ + 16;
  mStep_ = tilesOfGroup_ * panelsOfPart * panels().vectors * panels().block + 16;
  makeKernels();
}

// Threads split tiles or panels, whichever leaves the busiest one less work and traffic. Tiles of a
// group share one reading of the weights; what is kept of them leaves some of the second cache for
// the panels.
void WinogradExecutable::choosePartition(int threads, size_t l2Bytes) {
  const Panels& panels = this->panels();
  const double k = static_cast<double>(panels.k);
  double best = 0;
  for (int spatial = 1; spatial <= threads; ++spatial) {
    for (int channel : {threads / spatial, 1}) {
      const int64_t tiles = (tiles_ + spatial - 1) / spatial;
      const int64_t blocks =
          std::min(panels.blocks, (panels.count + channel - 1) / channel * panels.vectors);
      const int64_t tileBytes =
          positions_ * (rowFloats_ + blocks * panels.block) * static_cast<int64_t>(sizeof(float));
      const int64_t most =
          std::max<int64_t>(static_cast<int64_t>(l2Bytes) * 7 / 10 / tileBytes, 2 * owner_.rows_);
      const int64_t groups = (tiles + most - 1) / most;
      const double products = static_cast<double>(tiles * positions_ * blocks) * k / 2;
      const double transforms =
          static_cast<double>(tiles * positions_ * (rowFloats_ / panels.block + blocks)) * 4;
      const double weights =
          static_cast<double>(groups * positions_ * blocks * panels.block * 4) * k / 16;
      double cycles = products + transforms + weights;
      if (spatial * channel > 1) cycles += 8000;
      if (best != 0 && cycles >= best) continue;
      best = cycles;
      spatialParts_ = spatial;
      channelParts_ = channel;
      tilesOfGroup_ = (tiles + groups - 1) / groups;
    }
  }
}

void WinogradExecutable::makeKernels() {
  const int64_t block = panels().block;
  const int rows = owner_.rows_;
  BrgemmSpec spec;
  spec.isa = owner_.stored_.problem.device.isa;
  spec.k = static_cast<int>(panels().k);
  spec.aRowStride = rowFloats_ * 4;
  spec.prefetchEvery =
      prefetchEvery((tilesOfGroup_ + rows - 1) / rows, panels().vectors, static_cast<int>(block));
  for (int narrow = 0; narrow < 2; ++narrow) {
    kernels_[narrow].resize(static_cast<size_t>(rows) + 1);
    spec.tile.vectors = panels().vectorsOf(narrow ? panels().count - 1 : 0);
    auto make = [&](int size) {
      spec.tile.rows = size;
      if (size > 0) kernels_[narrow][static_cast<size_t>(size)] = &owner_.kernels_.get(spec);
    };
    for (int part = 0; part < spatialParts_; ++part) {
      const int64_t tiles = partOf(tiles_, part, spatialParts_).size(), groups = groupsOf(tiles);
      for (int64_t group = 0; group < groups; ++group) {
        const RowTiles cut = rowTiles(partOf(tiles, group, groups).size(), rows);
        if (cut.large) make(cut.size);
        if (cut.small) make(cut.size - 1);
      }
    }
  }
  if (conv().region.program.outputs.empty()) return;
  BrgemmSpec tail;  // of no taps: sums that come from memory
  tail.isa = spec.isa;
  tail.k = 1;
  tail.tile.accumulate = true;
  tail.tile.epilogue = conv().region.program;
  tail.tile.fetchAhead = static_cast<int>(kFetchedPixels * block * 4);
  for (const BlockedOperand& operand : conv().operands) tail.tile.operands.push_back(operand.kind);
  for (int several = 0; several < 2; ++several) {
    tail.tile.rows = several ? kFinishedPixels : 1;
    finish_[several] = &owner_.kernels_.get(tail);
  }
}

size_t WinogradExecutable::workspaceBytes() const {
  if (tiles_ == 0) return 0;
  return static_cast<size_t>(spatialParts_ * channelParts_ * partFloats()) * sizeof(float);
}

WinogradExecutable::Tile WinogradExecutable::tileAt(int64_t tile) const {
  const int64_t place = tile % tilesOfImage_;
  return {tile / tilesOfImage_, place / tileColumns_ * out_, place % tileColumns_ * out_};
}

void WinogradExecutable::run(const RunArguments& arguments) const {
  if (tiles_ == 0) return;
  const TilePointers pointers = owner_.pointersOf(arguments, shapes_);
  arguments.pool->run(spatialParts_ * channelParts_, [&](int part) {
    TilePointers own = pointers;
    runPart(arguments, own, part);
  });
}

void WinogradExecutable::runPart(const RunArguments& arguments, TilePointers& pointers,
                                 int part) const {
  const Range tiles = partOf(tiles_, part / channelParts_, spatialParts_);
  const Range panels = partOf(this->panels().count, part % channelParts_, channelParts_);
  const Range blocks{panels.begin * this->panels().vectors,
                     std::min(panels.end * this->panels().vectors, this->panels().blocks)};
  const float* x = owner_.inputOf(arguments);
  float* v = static_cast<float*>(arguments.workspace) + part * partFloats();
  float* m = v + positions_ * vStep_;
  const int64_t groups = groupsOf(tiles.size());
  for (int64_t i = 0; i < groups; ++i) {
    const Range within = partOf(tiles.size(), i, groups);
    const Range group{tiles.begin + within.begin, tiles.begin + within.end};
    transformInput(x, group, v);
    multiply(group.size(), panels, v, m);
    transformOutput(group, blocks, m, static_cast<float*>(arguments.outputs[0]), pointers);
  }
}

void WinogradExecutable::transformInput(const float* x, Range tiles, float* v) const {
  const int64_t lanes = conv().block, blocks = conv().inputBlocks();
  const int64_t lineFloats = shapes_.inWidth * lanes, planeFloats = shapes_.inHeight * lineFloats;
  alignas(64) float patch[kMaxPositions * 16];
  for (int64_t block = 0; block < blocks; ++block)
    for (int64_t i = tiles.begin; i < tiles.end; ++i) {
      const Tile tile = tileAt(i);
      const int64_t line = tile.line - conv().height.padBegin,
                    column = tile.column - conv().width.padBegin;
      const float* plane = x + (tile.image * blocks + block) * planeFloats;
      float* to = v + (i - tiles.begin) * rowFloats_ + block * lanes;
      if (line >= 0 && line + in_ <= shapes_.inHeight && column >= 0 &&
          column + in_ <= shapes_.inWidth) {
        owner_.loops_->input(plane + line * lineFloats + column * lanes, lineFloats, to, vStep_);
        continue;
      }
      const int64_t first = std::clamp<int64_t>(-column, 0, in_);
      const int64_t last = std::clamp<int64_t>(shapes_.inWidth - column, first, in_);
      std::fill(patch, patch + positions_ * lanes, 0.0f);
      for (int64_t row = 0; row < in_; ++row) {
        if (line + row < 0 || line + row >= shapes_.inHeight) continue;
        const float* from = plane + (line + row) * lineFloats + column * lanes;
        std::copy(from + first * lanes, from + last * lanes, patch + (row * in_ + first) * lanes);
      }
      owner_.loops_->input(patch, in_ * lanes, to, vStep_);
    }
}

// m at each position: [block of the part, tile, lane].
void WinogradExecutable::multiply(int64_t tiles, Range panels, const float* v, float* m) const {
  const Panels& all = this->panels();
  const RowTiles cut = rowTiles(tiles, owner_.rows_);
  const int64_t zero = 0, blockFloats = tiles * all.block;
  void* pointer = nullptr;
  BrgemmArguments tile{
      .c = {.pointers = &pointer, .rowStride = all.block * 4, .vectorStride = blockFloats * 4},
      .tapOffsets = &zero};
  for (int64_t position = 0; position < positions_; ++position)
    for (int64_t panel = panels.begin; panel < panels.end; ++panel) {
      const bool narrow = panel + 1 == all.count;
      tile.b = owner_.weights_ + all.offset(position, panel);
      tile.prefetch = tile.b + all.vectorsOf(panel) * all.block * all.k;
      float* c = m + position * mStep_ + (panel - panels.begin) * all.vectors * blockFloats;
      auto rows = [&](int64_t first, int64_t count, int size) {
        if (count == 0) return;
        tile.a = v + position * vStep_ + first * rowFloats_;
        tile.c.tiles = count;
        pointer = c + first * all.block;
        const Brgemm& kernel = *kernels_[narrow][static_cast<size_t>(size)];
        kernel(tile);
        kernel.advancePrefetch(tile);
      };
      rows(0, cut.large, cut.size);
      rows(cut.large * cut.size, cut.small, cut.size - 1);
    }
}

void WinogradExecutable::transformOutput(Range tiles, Range blocks, const float* m, float* y,
                                         TilePointers& pointers) const {
  const int64_t lanes = conv().block, lineFloats = shapes_.outWidth * lanes;
  alignas(64) float patch[kMaxPositions * 16];
  for (int64_t block = blocks.begin; block < blocks.end; ++block) {
    for (int64_t i = tiles.begin; i < tiles.end; ++i, m += lanes) {
      const Tile tile = tileAt(i);
      float* to =
          y +
          ((tile.image * panels().blocks + block) * shapes_.outHeight + tile.line) * lineFloats +
          tile.column * lanes;
      const int64_t lines = std::min(out_, shapes_.outHeight - tile.line),
                    columns = std::min(out_, shapes_.outWidth - tile.column);
      if (lines == out_ && columns == out_) {
        owner_.loops_->output(m, mStep_, to, lineFloats);
        continue;
      }
      owner_.loops_->output(m, mStep_, patch, out_ * lanes);
      for (int64_t line = 0; line < lines; ++line)
        std::copy_n(patch + line * out_ * lanes, columns * lanes, to + line * lineFloats);
    }
    if (finish_[0]) finish(tiles, block, pointers);
  }
}

// The tail over the sums that lie in the first output.
void WinogradExecutable::finish(Range tiles, int64_t block, TilePointers& pointers) const {
  const int64_t lanes = conv().block;
  BrgemmArguments pixel{.c = {.rowStride = lanes * 4}, .taps = 0};
  for (int64_t i = tiles.begin; i < tiles.end;) {
    const Tile tile = tileAt(i);
    const int64_t count = std::min(tiles.end - i, tileColumns_ - tile.column / out_);
    const int64_t pixels = std::min(count * out_, shapes_.outWidth - tile.column);
    for (int64_t line = tile.line; line < std::min(tile.line + out_, shapes_.outHeight); ++line) {
      const int64_t first = (block * shapes_.outHeight + line) * shapes_.outWidth + tile.column;
      auto finishPixels = [&](const Brgemm& kernel, int64_t from, int64_t turns) {
        if (turns == 0) return;
        pixel.c.tiles = turns;
        pixel.c.pointers = pointers.at(tile.image, (first + from) * lanes, block * lanes);
        kernel(pixel);
      };
      finishPixels(*finish_[1], 0, pixels / kFinishedPixels);
      finishPixels(*finish_[0], pixels / kFinishedPixels * kFinishedPixels,
                   pixels % kFinishedPixels);
    }
    i += count;
  }
}

class ConvWinograd : public Kernel {
 public:
  std::string_view name() const override { return "cpu/conv/winograd"; }
  uint32_t revision() const override { return 2; }

  Support supports(const Problem& problem) const override {
    auto analysis = analyze(problem);
    if (auto* refusal = std::get_if<Refusal>(&analysis)) return *refusal;
    const ConvProblem& conv = std::get<ConvProblem>(analysis);
    const bool one = conv.outputBlocks() == 1;
    const int64_t rows = conv.block == 16 ? (one ? 28 : 14) : (one ? 12 : 6);
    std::vector<Configuration> configurations;
    for (int64_t pixels : {4, 2}) {
      configurations.push_back(
          {{{"pixels", pixels}, {"rows", rows}, {"vectors", int64_t{one ? 1 : 2}}}, {}, {}});
      conv.setLayouts(problem, Layout::channelBlocked(conv.block), configurations.back());
    }
    return configurations;
  }

  // As if the arithmetic were that of the convolution, at the speed that is left of four times, or
  // of 2.25.
  double estimate(const Problem& problem, const Configuration& configuration,
                  const ConcreteShapes& shapes) const override {
    const ConvProblem conv = std::get<ConvProblem>(analyze(problem));
    const WinogradForm form = formOf(configuration);
    const std::vector<int64_t>& out = shapes.outputs[0];
    auto filled = [&](int64_t extent) {
      const int64_t covered = (extent + form.outputs - 1) / form.outputs * form.outputs;
      return covered ? static_cast<double>(extent) / static_cast<double>(covered) : 1.0;
    };
    const double transforms =
        1 + 20.0 / static_cast<double>(conv.inputs) + 20.0 / static_cast<double>(conv.outputs);
    Cost cost = costAt(problem, shapes);
    cost.bytes += static_cast<double>(conv.inputs * conv.outputs * (form.positions() - 9) * 4);
    return roofline(cost, problem.device,
                    (form.outputs == 4 ? 3.2 : 2.0) * filled(out[2]) * filled(out[3]) / transforms);
  }

  Prepared prepare(const Problem& problem, const Configuration& configuration) const override {
    const ConvProblem conv = std::get<ConvProblem>(analyze(problem));
    const Panels panels(conv, formOf(configuration),
                        static_cast<int>(parameter(configuration, "vectors", 1, 8)));
    const Tensor& w = *problem.inputs[static_cast<size_t>(conv.w)].constant;
    return preparedConv(problem, configuration, conv,
                        packWeights(conv, panels, static_cast<const float*>(w.data())));
  }

  std::unique_ptr<BoundKernel> bind(const BindArguments& arguments) const override {
    return std::make_unique<BoundWinograd>(arguments);
  }
};

}  // namespace

const Kernel& convWinograd() {
  static const ConvWinograd kernel;
  return kernel;
}

}  // namespace carnot
