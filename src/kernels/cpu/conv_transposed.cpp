#include <fmt/core.h>

#include <algorithm>
#include <cstring>

#include "base/threads.h"
#include "kernels/cpu/blocked_conv.h"
#include "kernels/cpu/tile_kernels.h"

namespace carnot {
namespace {

constexpr int64_t kMaxStride = 64;

std::variant<Refusal, ConvProblem> analyze(const Problem& problem) {
  if (!problem.device.isa.has(Isa::Avx2)) return Refusal{"is generated for AVX2 and AVX-512"};
  auto conv = convProblem(problem, true);
  if (auto* known = std::get_if<ConvProblem>(&conv)) {
    if (known->group > 1 && (known->inputs % known->block || known->outputs % known->block))
      return Refusal{fmt::format("{} to {} channels of a group do not fill blocks of {}",
                                 known->inputs, known->outputs, known->block)};
    if (known->height.stride > kMaxStride || known->width.stride > kMaxStride)
      return Refusal{fmt::format("a stride exceeds {}", kMaxStride)};
  }
  return conv;
}

// Outputs r, r + stride, r + 2 stride, … along an axis are a convolution of stride 1 over the input
// with some of the kernel's taps: output r + stride * i reads inputs i + offset.
struct AxisPhase {
  struct Tap {
    int64_t kernel, offset;
  };
  std::vector<Tap> taps;
};

std::vector<AxisPhase> phasesOf(const WindowAxis& axis) {
  std::vector<AxisPhase> phases(static_cast<size_t>(axis.stride));
  for (int64_t tap = 0; tap < axis.kernel; ++tap) {
    const int64_t shift = tap * axis.dilation - axis.padBegin;
    const int64_t r = ((shift % axis.stride) + axis.stride) % axis.stride;
    phases[static_cast<size_t>(r)].taps.push_back({tap, (r - shift) / axis.stride});
  }
  return phases;
}

// How far the reads of an axis reach before and behind the input, and behind the element that goes
// with an output.
struct Reach {
  int64_t before = 0, behind = 0, ahead = 0;
};

Reach reachOf(const std::vector<AxisPhase>& phases, int64_t in, int64_t out) {
  Reach reach;
  for (size_t r = 0; r < phases.size(); ++r) {
    const auto stride = static_cast<int64_t>(phases.size());
    const int64_t positions = (out - static_cast<int64_t>(r) + stride - 1) / stride;
    if (positions <= 0) continue;
    for (const AxisPhase::Tap& tap : phases[r].taps) {
      reach.before = std::max(reach.before, -tap.offset);
      reach.ahead = std::max(reach.ahead, tap.offset);
      reach.behind = std::max(reach.behind, positions - 1 + tap.offset - (in - 1));
    }
  }
  return reach;
}

// Panels of `vectors` blocks of output channels; in each, phase after phase of lines and columns:
// for input blocks, the phase's taps and the channels of the block, one row of the panel's width.
struct PhasePanels {
  int vectors = 1;
  int64_t block, blocks, rows, count;

  PhasePanels(const ConvProblem& conv, int vectors)
      : vectors(vectors),
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

// Weights as [inputs of all groups, outputs of a group, kernel height, kernel width].
Tensor packWeights(const ConvProblem& conv, const PhasePanels& panels, const float* w) {
  const auto lines = phasesOf(conv.height), columns = phasesOf(conv.width);
  Tensor packed(DType::F32, {conv.group * panels.groupFloats()});
  for (int64_t group = 0; group < conv.group; ++group)
    for (int64_t panel = 0; panel < panels.count; ++panel) {
      float* out = packed.as<float>() + panels.offset(group, panel);
      const int64_t width = panels.vectorsOf(panel) * panels.block;
      const int64_t first = panel * panels.vectors * panels.block;
      const int64_t present = std::min(width, conv.outputs - first);
      auto putRow = [&](int64_t channel, int64_t tap) {
        const float* from =
            w + ((group * conv.inputs + channel) * conv.outputs + first) * conv.taps() + tap;
        for (int64_t i = 0; i < present; ++i) out[i] = from[i * conv.taps()];
        std::fill(out + present, out + width, 0.0f);
        out += width;
      };
      for (const AxisPhase& line : lines)
        for (const AxisPhase& column : columns)
          for (int64_t block = 0; block < conv.inputs; block += conv.block)
            for (const AxisPhase::Tap& y : line.taps)
              for (const AxisPhase::Tap& x : column.taps)
                for (int64_t i = block; i < std::min(block + conv.block, conv.inputs); ++i)
                  putRow(i, y.kernel * conv.width.kernel + x.kernel);
    }
  return packed;
}

class BoundTransposed;

class TransposedExecutable : public Executable {
 public:
  TransposedExecutable(const BoundTransposed& owner, const ConvShapes& shapes);
  size_t workspaceBytes() const override;
  void run(const RunArguments& arguments) const override;

 private:
  // One residue of lines and of columns.
  struct Phase {
    int64_t line, column, taps;
    RowTiles tiles;                    // of a line's pixels
    std::vector<int64_t> tapOffsets;   // bytes
    const Brgemm* kernels[2][2] = {};  // by narrow last panel, small tile
  };

  void makePhases();
  void runPart(const RunArguments& arguments, TilePointers pointers, int part) const;
  void copyBand(const float* image, Range lines, float* to) const;
  void multiplyPanel(const float* x, int64_t image, Range lines, int64_t group, int64_t panel,
                     TilePointers& pointers) const;
  // Output lines of a phase up to output line `stride * i`.
  int64_t linesBefore(const Phase& phase, int64_t i) const {
    const int64_t stride = conv().height.stride;
    return std::min(i, (shapes_.outHeight - phase.line + stride - 1) / stride);
  }
  const ConvProblem& conv() const;
  const PhasePanels& panels() const;

  const BoundTransposed& owner_;
  ConvShapes shapes_;
  Reach lineReach_, columnReach_;
  int64_t steps_ = 0;  // groups of stride output lines in an image
  int64_t stepsOfBand_ = 1;
  int64_t channelBlocks_ = 1, lineFloats_ = 0, channelFloats_ = 0;
  bool copies_ = false;
  int spatialParts_ = 1, channelParts_ = 1;
  std::vector<Phase> phases_;
};

class BoundTransposed : public BoundBlockedConv {
 public:
  explicit BoundTransposed(const BindArguments& arguments) : BoundBlockedConv(arguments, analyze) {
    const int vectors = setting("vectors", 1, 8);
    rows_ = setting("rows", 1, BrgemmSpec::maxRows(conv_.block, vectors));
    panels_ = std::make_unique<PhasePanels>(conv_, vectors);
    takeWeights(arguments, conv_.group * panels_->groupFloats());
  }

  std::unique_ptr<Executable> specialize(const ConcreteShapes& shapes) const override {
    return std::make_unique<TransposedExecutable>(*this, shapesOf(shapes));
  }

 private:
  friend class TransposedExecutable;

  std::unique_ptr<const PhasePanels> panels_;
  int rows_ = 1;
  BrgemmKernels kernels_;
};

const ConvProblem& TransposedExecutable::conv() const { return owner_.conv_; }
const PhasePanels& TransposedExecutable::panels() const { return *owner_.panels_; }

TransposedExecutable::TransposedExecutable(const BoundTransposed& owner, const ConvShapes& shapes)
    : owner_(owner), shapes_(shapes) {
  if (shapes.images * shapes.outHeight * shapes.outWidth == 0) return;
  const DeviceTraits& device = owner.stored_.problem.device;
  const int64_t stride = conv().height.stride, block = conv().block;
  lineReach_ = reachOf(phasesOf(conv().height), shapes.inHeight, shapes.outHeight);
  columnReach_ = reachOf(phasesOf(conv().width), shapes.inWidth, shapes.outWidth);
  copies_ = lineReach_.before > 0 || lineReach_.behind > 0 || columnReach_.before > 0 ||
            columnReach_.behind > 0;
  steps_ = (shapes.outHeight + stride - 1) / stride;
  channelBlocks_ = conv().blocksOf(conv().inputs);

  // Threads split lines first, then panels.
  const int threads = std::max(1, device.threads);
  const int64_t units = shapes.images * steps_;
  spatialParts_ = static_cast<int>(std::min<int64_t>(threads, units));
  channelParts_ =
      static_cast<int>(std::min<int64_t>(threads / spatialParts_, conv().group * panels().count));
  const int64_t lineElements = shapes.inWidth + columnReach_.before + columnReach_.behind;
  const int64_t share = static_cast<int64_t>(device.l2Bytes) / 2 / 4;
  const int64_t stepFloats = channelBlocks_ * block * lineElements;
  const int64_t halo = lineReach_.before + lineReach_.ahead;
  const int64_t most = std::min(steps_, (units + spatialParts_ - 1) / spatialParts_);
  stepsOfBand_ = std::clamp<int64_t>(share / stepFloats - halo, 1, most);
  lineFloats_ = (copies_ ? lineElements : shapes.inWidth) * block;
  channelFloats_ = (copies_ ? stepsOfBand_ + halo : shapes.inHeight) * lineFloats_;
  makePhases();
}

void TransposedExecutable::makePhases() {
  const ConvProblem& conv = this->conv();
  const auto lines = phasesOf(conv.height), columns = phasesOf(conv.width);
  for (size_t line = 0; line < lines.size(); ++line)
    for (size_t column = 0; column < columns.size(); ++column) {
      Phase phase{
          .line = static_cast<int64_t>(line),
          .column = static_cast<int64_t>(column),
          .taps = static_cast<int64_t>(lines[line].taps.size() * columns[column].taps.size()),
          .tiles = {},
          .tapOffsets = {}};
      const int64_t pixels = std::max<int64_t>(
          0, (shapes_.outWidth - phase.column + conv.width.stride - 1) / conv.width.stride);
      phase.tiles = rowTiles(pixels, owner_.rows_);
      const int64_t top = copies_ ? lineReach_.before : 0, left = copies_ ? columnReach_.before : 0;
      for (int64_t block = 0; block < channelBlocks_; ++block)
        for (const AxisPhase::Tap& y : lines[line].taps)
          for (const AxisPhase::Tap& x : columns[column].taps)
            phase.tapOffsets.push_back((block * channelFloats_ + (y.offset + top) * lineFloats_ +
                                        (x.offset + left) * conv.block) *
                                       4);
      for (int narrow = 0; narrow < 2; ++narrow)
        for (int small = 0; small < 2; ++small) {
          if ((small ? phase.tiles.small : phase.tiles.large) == 0) continue;
          BrgemmSpec spec;
          spec.isa = owner_.stored_.problem.device.isa;
          spec.tile.rows = phase.tiles.size - small;
          spec.tile.vectors = panels().vectorsOf(narrow ? panels().count - 1 : 0);
          spec.tile.epilogue = conv.region.program;
          for (const BlockedOperand& operand : conv.operands)
            spec.tile.operands.push_back(operand.kind);
          spec.k = conv.block;
          spec.tailK = static_cast<int>(conv.inputs % conv.block);
          spec.aRowStride = conv.block * 4;
          phase.kernels[narrow][small] = &owner_.kernels_.get(spec);
        }
      phases_.push_back(std::move(phase));
    }
}

size_t TransposedExecutable::workspaceBytes() const {
  if (!copies_) return 0;
  return static_cast<size_t>(spatialParts_ * channelParts_ * channelBlocks_ * channelFloats_) *
         sizeof(float);
}

void TransposedExecutable::run(const RunArguments& arguments) const {
  if (phases_.empty()) return;
  const TilePointers pointers = owner_.pointersOf(arguments, shapes_);
  arguments.pool->run(spatialParts_ * channelParts_,
                      [&](int part) { runPart(arguments, pointers, part); });
}

void TransposedExecutable::runPart(const RunArguments& arguments, TilePointers pointers,
                                   int part) const {
  const ConvProblem& conv = this->conv();
  const PhasePanels& panels = this->panels();
  const Range units = partOf(shapes_.images * steps_, part / channelParts_, spatialParts_);
  const Range channels = partOf(conv.group * panels.count, part % channelParts_, channelParts_);
  const float* x = owner_.inputOf(arguments);
  float* copy = static_cast<float*>(arguments.workspace) + part * channelBlocks_ * channelFloats_;
  const int64_t groupFloats = channelBlocks_ * shapes_.inHeight * shapes_.inWidth * conv.block;
  for (int64_t unit = units.begin; unit < units.end;) {
    const int64_t image = unit / steps_, step = unit % steps_;
    const int64_t length = std::min({stepsOfBand_, steps_ - step, units.end - unit});
    const Range lines{step, step + length};
    for (int64_t group = channels.begin / panels.count; group * panels.count < channels.end;
         ++group) {
      const float* from = x + (image * conv.group + group) * groupFloats;
      if (copies_) copyBand(from, lines, copy);
      const float* band = copies_ ? copy : from + step * lineFloats_;
      const int64_t first = std::max(channels.begin - group * panels.count, int64_t{0});
      const int64_t last = std::min(channels.end - group * panels.count, panels.count);
      for (int64_t panel = first; panel < last; ++panel)
        multiplyPanel(band, image, lines, group, panel, pointers);
    }
    unit += length;
  }
}

// Output lines under steps `lines` of an image for one panel; `x` is where step lines.begin reads.
void TransposedExecutable::multiplyPanel(const float* x, int64_t image, Range lines, int64_t group,
                                         int64_t panel, TilePointers& pointers) const {
  const ConvProblem& conv = this->conv();
  const PhasePanels& panels = this->panels();
  const int64_t pixels = shapes_.outHeight * shapes_.outWidth;
  const int64_t block = group * panels.blocks + panel * panels.vectors;
  const int64_t width = panels.vectorsOf(panel) * panels.block;
  BrgemmArguments tile{.c = {.rowStride = conv.width.stride * conv.block * 4,
                             .vectorStride = pixels * conv.block * 4},
                       .b = owner_.weights_ + panels.offset(group, panel)};
  const bool tail = conv.inputs % conv.block != 0;
  for (const Phase& phase : phases_) {
    tile.tapOffsets = phase.tapOffsets.data();
    tile.taps = phase.taps * (channelBlocks_ - tail);
    tile.tailTaps = phase.taps * tail;
    for (int64_t line = lines.begin; line < linesBefore(phase, lines.end); ++line) {
      const int64_t start =
          (line * conv.height.stride + phase.line) * shapes_.outWidth + phase.column;
      for (int small = 0; small < 2; ++small) {
        tile.c.tiles = small ? phase.tiles.small : phase.tiles.large;
        if (tile.c.tiles == 0) continue;
        const int64_t first = small ? phase.tiles.firstRow(phase.tiles.large) : 0;
        tile.a = x + (line - lines.begin) * lineFloats_ + first * conv.block;
        tile.c.pointers =
            pointers.at(image, (block * pixels + start + first * conv.width.stride) * conv.block,
                        block * conv.block);
        (*phase.kernels[panel + 1 == panels.count][small])(tile);
      }
    }
    tile.b += phase.taps * conv.inputs * width;
  }
}

// The input lines that steps `lines` read, with zeros where they reach beyond the image.
void TransposedExecutable::copyBand(const float* image, Range lines, float* to) const {
  const int64_t block = conv().block, imageLine = shapes_.inWidth * block;
  const int64_t left = columnReach_.before * block, right = columnReach_.behind * block;
  for (int64_t channel = 0; channel < channelBlocks_; ++channel) {
    const float* from = image + channel * shapes_.inHeight * imageLine;
    float* line = to + channel * channelFloats_;
    for (int64_t i = lines.begin - lineReach_.before; i < lines.end + lineReach_.ahead;
         ++i, line += lineFloats_) {
      if (i < 0 || i >= shapes_.inHeight) {
        std::fill_n(line, lineFloats_, 0.0f);
        continue;
      }
      std::fill_n(line, left, 0.0f);
      std::memcpy(line + left, from + i * imageLine,
                  static_cast<size_t>(imageLine) * sizeof(float));
      std::fill_n(line + left + imageLine, right, 0.0f);
    }
  }
}

// Transposed convolution as one convolution of stride 1 for each residue of output lines and
// columns.
class ConvTransposed : public Kernel {
 public:
  std::string_view name() const override { return "cpu/conv/transposed"; }

  Support supports(const Problem& problem) const override {
    auto analysis = analyze(problem);
    if (auto* refusal = std::get_if<Refusal>(&analysis)) return *refusal;
    const ConvProblem& conv = std::get<ConvProblem>(analysis);
    const int64_t blocks = conv.blocksOf(conv.outputs);
    struct Tile {
      int64_t rows, vectors;
    };
    const bool wide = conv.block == 16;
    std::vector<Configuration> configurations;
    for (auto [rows, vectors] : blocks == 1
                                    ? std::vector<Tile>{{wide ? 28 : 12, 1}}
                                    : std::vector<Tile>{{wide ? 14 : 6, 2}, {wide ? 7 : 3, 4}}) {
      if (vectors > blocks) continue;
      configurations.push_back({{{"rows", rows}, {"vectors", vectors}}, {}, {}});
      conv.setLayouts(problem, Layout::channelBlocked(conv.block), configurations.back());
    }
    return configurations;
  }

  Prepared prepare(const Problem& problem, const Configuration& configuration) const override {
    const ConvProblem conv = std::get<ConvProblem>(analyze(problem));
    const PhasePanels panels(conv, static_cast<int>(parameter(configuration, "vectors", 1, 8)));
    const Tensor& w = *problem.inputs[static_cast<size_t>(conv.w)].constant;
    return preparedConv(problem, configuration, conv,
                        packWeights(conv, panels, static_cast<const float*>(w.data())));
  }

  std::unique_ptr<BoundKernel> bind(const BindArguments& arguments) const override {
    return std::make_unique<BoundTransposed>(arguments);
  }
};

}  // namespace

const Kernel& convTransposed() {
  static const ConvTransposed kernel;
  return kernel;
}

}  // namespace carnot
