#include <fmt/core.h>

#include <algorithm>

#include "base/threads.h"
#include "kernels/cpu/blocked_conv.h"
#include "kernels/cpu/tile_kernels.h"

namespace carnot {
namespace {

// A dilated convolution as the sum of its taps: each is a convolution of single pixels over the
// part of the output whose windows meet the image with that tap. Nothing is copied, and what lies
// in the padding is not multiplied, which is most of a widely dilated window over a small image.
//
// The first half of the channels of a tap that meets the image everywhere starts the sums, and the
// second ends them, with the epilogue.

// Outputs [begin, end) along an axis whose tap `tap` meets the image.
Range outputsOfTap(const WindowAxis& axis, int64_t tap, int64_t in, int64_t out) {
  const int64_t first = axis.padBegin - tap * axis.dilation;  // output o reads o * stride - first
  const int64_t begin = first <= 0 ? 0 : (first + axis.stride - 1) / axis.stride;
  const int64_t end = in + first <= 0 ? 0 : (in + first - 1) / axis.stride + 1;
  return {std::min(begin, out), std::clamp(end, std::min(begin, out), out)};
}

// A tap that meets the image under every output whatever the image's size; -1: there is none.
int64_t coveringTap(const WindowAxis& axis) {
  for (int64_t tap = 0; tap < axis.kernel; ++tap)
    if (tap * axis.dilation >= axis.padBegin &&
        (axis.kernel - 1 - tap) * axis.dilation >= axis.padEnd)
      return tap;
  return -1;
}

std::variant<Refusal, ConvProblem> analyze(const Problem& problem) {
  if (!problem.device.isa.has(Isa::Avx2)) return Refusal{"is generated for AVX2 and AVX-512"};
  auto conv = convProblem(problem);
  if (auto* known = std::get_if<ConvProblem>(&conv)) {
    if (known->group > 1) return Refusal{"takes one group"};
    if ((known->height.kernel == 1 || known->height.dilation == 1) &&
        (known->width.kernel == 1 || known->width.dilation == 1))
      return Refusal{"leaves windows without gaps to the direct kernel"};
    if (known->inputs <= known->block)
      return Refusal{
          fmt::format("{} channels are too few to begin and to end a sum with; needs "
                      "more than {}",
                      known->inputs, known->block)};
    if (coveringTap(known->height) < 0 || coveringTap(known->width) < 0)
      return Refusal{"no tap of the window meets the image everywhere"};
  }
  return conv;
}

// Weights by taps, panels of `vectors` blocks of output channels, and input channels; the last
// panel is only as wide as it needs.
struct TapPanels {
  int vectors;
  int64_t block, blocks, rows, count, taps;

  TapPanels(const ConvProblem& conv, int vectors)
      : vectors(vectors),
        block(conv.block),
        blocks(conv.blocksOf(conv.outputs)),
        rows(conv.inputs),
        count((blocks + vectors - 1) / vectors),
        taps(conv.taps()) {}
  int vectorsOf(int64_t panel) const {
    return static_cast<int>(std::min<int64_t>(vectors, blocks - panel * vectors));
  }
  int64_t floats() const { return taps * tapFloats(); }
  int64_t tapFloats() const { return blocks * block * rows; }
  int64_t offset(int64_t tap, int64_t panel, int64_t row) const {
    return tap * tapFloats() + panel * vectors * block * rows + row * vectorsOf(panel) * block;
  }
};

Tensor packWeights(const ConvProblem& conv, const TapPanels& panels, const float* w) {
  Tensor packed(DType::F32, {panels.floats()});
  for (int64_t tap = 0; tap < panels.taps; ++tap)
    for (int64_t panel = 0; panel < panels.count; ++panel) {
      float* out = packed.as<float>() + panels.offset(tap, panel, 0);
      const int64_t first = panel * panels.vectors * panels.block;
      for (int64_t row = 0; row < panels.rows; ++row)
        for (int64_t i = first; i < first + panels.vectorsOf(panel) * panels.block; ++i)
          *out++ = i < conv.outputs ? w[(i * panels.rows + row) * panels.taps + tap] : 0.0f;
    }
  return packed;
}

class BoundDilated : public BoundBlockedConv {
 public:
  explicit BoundDilated(const BindArguments& arguments)
      : BoundBlockedConv(arguments, analyze),
        panels_(conv_, setting("vectors", 1, 8)),
        rows_(setting("rows", 1, BrgemmSpec::maxRows(conv_.block, panels_.vectors))) {
    takeWeights(arguments, panels_.floats());
  }

  std::unique_ptr<Executable> specialize(const ConcreteShapes& shapes) const override;

 private:
  friend class DilatedExecutable;

  TapPanels panels_;
  int rows_;
  BrgemmKernels kernels_;
};

class DilatedExecutable : public Executable {
 public:
  DilatedExecutable(const BoundDilated& owner, const ConvShapes& shapes);
  size_t workspaceBytes() const override { return 0; }
  void run(const RunArguments& arguments) const override;

 private:
  // One product of every part of the output with a tap's weights of some channel blocks.
  struct Step {
    Range lines, columns;
    int64_t tap = 0, firstBlock = 0, blocks = 0, tailTaps = 0;
    int64_t inputOffset = 0;           // of output pixel (0, 0), floats; may lie before the image
    RowTiles tiles;                    // of a line's columns
    const Brgemm* kernels[2][2] = {};  // narrow last panel, small tile
  };

  void addStep(int64_t row, int64_t column, Range blocks, bool first, bool last);
  void runPart(const RunArguments& arguments, TilePointers pointers, int part) const;
  void multiply(const Step& step, const float* image, Range lines, int64_t panel,
                TilePointers& pointers, int64_t imageIndex) const;

  const BoundDilated& owner_;
  ConvShapes shapes_;
  std::vector<Step> steps_;
  std::vector<int64_t> blockOffsets_;  // of the input, bytes
  int spatialParts_ = 1, channelParts_ = 1;
  int64_t linesOfBand_ = 1;
};

std::unique_ptr<Executable> BoundDilated::specialize(const ConcreteShapes& shapes) const {
  return std::make_unique<DilatedExecutable>(*this, shapesOf(shapes));
}

DilatedExecutable::DilatedExecutable(const BoundDilated& owner, const ConvShapes& shapes)
    : owner_(owner), shapes_(shapes) {
  const ConvProblem& conv = owner.conv_;
  if (shapes.images * shapes.outHeight * shapes.outWidth == 0) return;
  const int64_t blocks = conv.blocksOf(conv.inputs);
  for (int64_t block = 0; block < blocks; ++block)
    blockOffsets_.push_back(block * shapes.inHeight * shapes.inWidth * conv.block * 4);
  const DeviceTraits& device = owner.stored_.problem.device;
  const int threads = std::max(1, device.threads);
  // Whole panels to each thread keep its weights in its own cache; else lines are split.
  channelParts_ = owner.panels_.count % threads == 0 ? threads : 1;
  spatialParts_ = threads / channelParts_;
  // The input under a band stays in the second cache while it meets all panels.
  const int64_t lineBytes = blocks * conv.block * shapes.inWidth * 4;
  linesOfBand_ = std::clamp<int64_t>(
      static_cast<int64_t>(device.l2Bytes) / 2 / (lineBytes * conv.height.stride), 1,
      shapes.outHeight);

  const int64_t row = coveringTap(conv.height), column = coveringTap(conv.width);
  addStep(row, column, {0, blocks / 2}, true, false);
  for (int64_t r = 0; r < conv.height.kernel; ++r)
    for (int64_t c = 0; c < conv.width.kernel; ++c)
      if (r != row || c != column) addStep(r, c, {0, blocks}, false, false);
  if (steps_.size() > 1) {
    addStep(row, column, {blocks / 2, blocks}, false, true);
  } else {
    steps_.clear();
    addStep(row, column, {0, blocks}, true, true);
  }
}

void DilatedExecutable::addStep(int64_t row, int64_t column, Range blocks, bool first, bool last) {
  const ConvProblem& conv = owner_.conv_;
  const TapPanels& panels = owner_.panels_;
  Step step;
  step.lines = outputsOfTap(conv.height, row, shapes_.inHeight, shapes_.outHeight);
  step.columns = outputsOfTap(conv.width, column, shapes_.inWidth, shapes_.outWidth);
  if (step.lines.size() == 0 || step.columns.size() == 0) return;
  const bool tail = conv.inputs % conv.block != 0 && blocks.end == conv.blocksOf(conv.inputs);
  step.tap = row * conv.width.kernel + column;
  step.firstBlock = blocks.begin;
  step.blocks = blocks.size() - tail;
  step.tailTaps = tail;
  step.inputOffset = ((row * conv.height.dilation - conv.height.padBegin) * shapes_.inWidth +
                      column * conv.width.dilation - conv.width.padBegin) *
                     conv.block;
  step.tiles = rowTiles(step.columns.size(), owner_.rows_);
  for (int narrow = 0; narrow < 2; ++narrow)
    for (int small = 0; small < 2; ++small) {
      if ((small ? step.tiles.small : step.tiles.large) == 0) continue;
      BrgemmSpec spec;
      spec.isa = owner_.stored_.problem.device.isa;
      spec.tile.rows = step.tiles.size - small;
      spec.tile.vectors = panels.vectorsOf(narrow ? panels.count - 1 : 0);
      spec.k = static_cast<int>(conv.block);
      spec.tailK = tail ? static_cast<int>(conv.inputs % conv.block) : 0;
      spec.aRowStride = conv.width.stride * conv.block * 4;
      spec.tile.accumulate = !first;
      if (last) {
        spec.tile.epilogue = conv.region.program;
        for (const BlockedOperand& operand : conv.operands)
          spec.tile.operands.push_back(operand.kind);
      }
      step.kernels[narrow][small] = &owner_.kernels_.get(spec);
    }
  steps_.push_back(step);
}

void DilatedExecutable::run(const RunArguments& arguments) const {
  if (steps_.empty()) return;
  const TilePointers pointers = owner_.pointersOf(arguments, shapes_);
  arguments.pool->run(spatialParts_ * channelParts_,
                      [&](int part) { runPart(arguments, pointers, part); });
}

void DilatedExecutable::runPart(const RunArguments& arguments, TilePointers pointers,
                                int part) const {
  const ConvProblem& conv = owner_.conv_;
  const Range units =
      partOf(shapes_.images * shapes_.outHeight, part / channelParts_, spatialParts_);
  const Range panels = partOf(owner_.panels_.count, part % channelParts_, channelParts_);
  const int64_t imageFloats =
      conv.blocksOf(conv.inputs) * conv.block * shapes_.inHeight * shapes_.inWidth;
  for (int64_t unit = units.begin; unit < units.end;) {
    const int64_t image = unit / shapes_.outHeight, line = unit % shapes_.outHeight;
    const Range band{line,
                     std::min({line + linesOfBand_, shapes_.outHeight, line + units.end - unit})};
    const float* x = owner_.inputOf(arguments) + image * imageFloats;
    for (const Step& step : steps_) {
      const Range lines{std::max(band.begin, step.lines.begin), std::min(band.end, step.lines.end)};
      for (int64_t panel = panels.begin; lines.begin < lines.end && panel < panels.end; ++panel)
        multiply(step, x, lines, panel, pointers, image);
    }
    unit += band.size();
  }
}

// The step's part of some lines of an image, for one panel.
void DilatedExecutable::multiply(const Step& step, const float* image, Range lines, int64_t panel,
                                 TilePointers& pointers, int64_t imageIndex) const {
  const ConvProblem& conv = owner_.conv_;
  const TapPanels& panels = owner_.panels_;
  const int64_t block = panel * panels.vectors, pixels = shapes_.outHeight * shapes_.outWidth;
  const auto& kernels = step.kernels[panel + 1 == panels.count];
  BrgemmArguments tile{.c = {.rowStride = conv.block * 4, .vectorStride = pixels * conv.block * 4}};
  tile.b = owner_.weights_ + panels.offset(step.tap, panel, step.firstBlock * conv.block);
  tile.tapOffsets = blockOffsets_.data() + step.firstBlock;
  tile.taps = step.blocks;
  tile.tailTaps = step.tailTaps;
  auto multiplyTiles = [&](int64_t line, int64_t column, int64_t tiles, bool small) {
    if (tiles == 0) return;
    tile.a =
        image + step.inputOffset +
        (line * conv.height.stride * shapes_.inWidth + column * conv.width.stride) * conv.block;
    tile.c.tiles = tiles;
    tile.c.pointers =
        pointers.at(imageIndex, (block * pixels + line * shapes_.outWidth + column) * conv.block,
                    block * conv.block);
    (*kernels[small])(tile);
  };
  const int64_t split = step.columns.begin + step.tiles.firstRow(step.tiles.large);
  for (int64_t line = lines.begin; line < lines.end; ++line) {
    multiplyTiles(line, step.columns.begin, step.tiles.large, false);
    multiplyTiles(line, split, step.tiles.small, true);
  }
}

class ConvDilated : public Kernel {
 public:
  std::string_view name() const override { return "cpu/conv/dilated"; }

  Support supports(const Problem& problem) const override {
    auto analysis = analyze(problem);
    if (auto* refusal = std::get_if<Refusal>(&analysis)) return *refusal;
    const ConvProblem& conv = std::get<ConvProblem>(analysis);
    const bool wide = conv.block == 16;
    const int64_t blocks = conv.blocksOf(conv.outputs);
    std::vector<Configuration> configurations;
    for (auto [rows, vectors] :
         {std::pair{wide ? 28 : 12, 1}, {wide ? 14 : 6, 2}, {wide ? 7 : 3, 4}}) {
      if (vectors > blocks || (vectors == 1 && blocks > 1)) continue;
      configurations.push_back({{{"rows", rows}, {"vectors", vectors}}, {}, {}});
      conv.setLayouts(problem, Layout::channelBlocked(conv.block), configurations.back());
    }
    return configurations;
  }

  double estimate(const Problem& problem, const Configuration&,
                  const ConcreteShapes& shapes) const override {
    const ConvProblem conv = std::get<ConvProblem>(analyze(problem));
    const std::vector<int64_t>& in = shapes.inputs[static_cast<size_t>(conv.x)];
    const std::vector<int64_t>& out = shapes.outputs[0];
    // The share of an axis's windows that meets the image.
    auto share = [](const WindowAxis& axis, int64_t in, int64_t out) {
      double met = 0;
      for (int64_t tap = 0; tap < axis.kernel; ++tap)
        met += static_cast<double>(outputsOfTap(axis, tap, in, out).size());
      return out == 0 ? 1.0 : met / static_cast<double>(axis.kernel * out);
    };
    const size_t axis = conv.upright ? 2 : in.size() - 1;
    double met = share(conv.width, in[axis], out[axis]);
    if (!conv.line) met *= share(conv.height, in[2], out[2]);
    return roofline(costAt(problem, shapes), problem.device, 0.85 / std::max(met, 0.05));
  }

  Prepared prepare(const Problem& problem, const Configuration& configuration) const override {
    const ConvProblem conv = std::get<ConvProblem>(analyze(problem));
    const TapPanels panels(conv, static_cast<int>(parameter(configuration, "vectors", 1, 8)));
    const Tensor& w = *problem.inputs[static_cast<size_t>(conv.w)].constant;
    return preparedConv(problem, configuration, conv,
                        packWeights(conv, panels, static_cast<const float*>(w.data())));
  }

  std::unique_ptr<BoundKernel> bind(const BindArguments& arguments) const override {
    return std::make_unique<BoundDilated>(arguments);
  }
};

}  // namespace

const Kernel& convDilated() {
  static const ConvDilated kernel;
  return kernel;
}

}  // namespace carnot
