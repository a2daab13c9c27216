#include <fmt/core.h>

#include <algorithm>

#include "base/threads.h"
#include "codegen/cpu/depthwise.h"
#include "kernels/cpu/blocked_conv.h"
#include "kernels/cpu/tile_kernels.h"

namespace carnot {
namespace {

constexpr int64_t kMaxKernel = 64;  // along a line: the code is unrolled over it
// The input is fetched a line of the output ahead, or so many bytes: memory answers in that time.
constexpr int64_t kFetchAhead = 8192;

std::variant<Refusal, ConvProblem> analyze(const Problem& problem) {
  if (!problem.device.isa.has(Isa::Avx2)) return Refusal{"is generated for AVX2 and AVX-512"};
  auto conv = convProblem(problem);
  if (auto* known = std::get_if<ConvProblem>(&conv)) {
    if (known->inputs != 1 || known->outputs != 1)
      return Refusal{fmt::format("a group has {} to {} channels, not one to one", known->inputs,
                                 known->outputs)};
    const WindowAxis& width = known->width;
    if (width.kernel > kMaxKernel || width.stride > kMaxKernel || width.dilation > kMaxKernel)
      return Refusal{fmt::format("a window of {}, strides of {} or dilations of {} exceed {}",
                                 width.kernel, width.stride, width.dilation, kMaxKernel)};
  }
  return conv;
}

// [block][kernel row][kernel column][lane], zeros behind the last channel.
Tensor packWeights(const ConvProblem& conv, const float* w) {
  const int64_t taps = conv.taps(), blocks = conv.outputBlocks();
  Tensor packed(DType::F32, {blocks * taps * conv.block});
  float* out = packed.as<float>();
  for (int64_t block = 0; block < blocks; ++block)
    for (int64_t tap = 0; tap < taps; ++tap)
      for (int64_t channel = block * conv.block; channel < (block + 1) * conv.block; ++channel)
        *out++ = channel < conv.group ? w[channel * taps + tap] : 0.0f;
  return packed;
}

class BoundDepthwise;

class DepthwiseExecutable : public Executable {
 public:
  DepthwiseExecutable(const BoundDepthwise& owner, const ConvShapes& shapes);
  void run(const RunArguments& arguments) const override;

 private:
  // Neighbouring tiles of a line with equal code.
  struct Run {
    int64_t pixel, tiles, size;
    const Depthwise* kernel;
  };
  void runPart(const float* x, TilePointers pointers, int part) const;
  Range kernelRows(int64_t line) const;

  const BoundDepthwise& owner_;
  ConvShapes shapes_;
  int parts_;
  std::vector<Run> runs_;
};

class BoundDepthwise : public BoundBlockedConv {
 public:
  explicit BoundDepthwise(const BindArguments& arguments) : BoundBlockedConv(arguments, analyze) {
    pixels_ = setting("pixels", 1,
                      DepthwiseSpec::maxPixels(conv_.block, static_cast<int>(conv_.width.kernel)));
    takeWeights(arguments, conv_.outputBlocks() * conv_.block * conv_.taps());
  }

  std::unique_ptr<Executable> specialize(const ConcreteShapes& shapes) const override {
    return std::make_unique<DepthwiseExecutable>(*this, shapesOf(shapes));
  }

 private:
  friend class DepthwiseExecutable;

  int pixels_ = 1;
  TileKernels<DepthwiseSpec, Depthwise> kernels_;
};

DepthwiseExecutable::DepthwiseExecutable(const BoundDepthwise& owner, const ConvShapes& shapes)
    : owner_(owner), shapes_(shapes), parts_(std::max(1, owner.stored_.problem.device.threads)) {
  const ConvProblem& conv = owner.conv_;
  const RowTiles tiles = rowTiles(shapes.outWidth, owner.pixels_);
  DepthwiseSpec spec;
  spec.isa = owner.stored_.problem.device.isa;
  spec.tile.epilogue = conv.region.program;
  for (const BlockedOperand& operand : conv.operands) spec.tile.operands.push_back(operand.kind);
  spec.kernel = static_cast<int>(conv.width.kernel);
  spec.stride = static_cast<int>(conv.width.stride);
  spec.dilation = static_cast<int>(conv.width.dilation);
  spec.fetchAhead =
      static_cast<int>(std::max(kFetchAhead, conv.height.stride * shapes.inWidth * conv.block * 4));
  for (int64_t tile = 0; tile < tiles.count(); ++tile) {
    const int64_t pixel = tiles.firstRow(tile), size = tiles.firstRow(tile + 1) - pixel;
    const int64_t start = pixel * conv.width.stride - conv.width.padBegin;
    spec.tile.rows = static_cast<int>(size);
    auto column = [&](int64_t inside) {
      return static_cast<int>(std::clamp<int64_t>(inside - start, 0, spec.columns()));
    };
    spec.firstColumn = column(0);
    spec.lastColumn = column(shapes.inWidth);
    const Depthwise* kernel = &owner.kernels_.get(spec);
    if (!runs_.empty() && runs_.back().kernel == kernel)
      ++runs_.back().tiles;
    else
      runs_.push_back({pixel, 1, size, kernel});
  }
}

// The rows of the kernel that lie inside the image under an output line.
Range DepthwiseExecutable::kernelRows(int64_t line) const {
  const WindowAxis& height = owner_.conv_.height;
  const int64_t start = line * height.stride - height.padBegin;
  auto rowsBefore = [&](int64_t end) {  // that start before input line `end`
    return std::clamp<int64_t>((end - start + height.dilation - 1) / height.dilation, 0,
                               height.kernel);
  };
  const int64_t first = start >= 0 ? 0 : rowsBefore(0),
                last = start >= shapes_.inHeight ? 0 : rowsBefore(shapes_.inHeight);
  return {first, std::max(first, last)};
}

void DepthwiseExecutable::run(const RunArguments& arguments) const {
  const TilePointers pointers = owner_.pointersOf(arguments, shapes_);
  const float* x = owner_.inputOf(arguments);
  arguments.pool->run(parts_, [&](int part) { runPart(x, pointers, part); });
}

void DepthwiseExecutable::runPart(const float* x, TilePointers pointers, int part) const {
  const ConvProblem& conv = owner_.conv_;
  const int64_t blocks = conv.outputBlocks(), block = conv.block;
  const Range lines = partOf(shapes_.images * blocks * shapes_.outHeight, part, parts_);
  const int64_t lineFloats = shapes_.inWidth * block;
  DepthwiseArguments tile{.c = {.rowStride = block * 4},
                          .xRowStep = conv.height.dilation * lineFloats * 4};
  for (int64_t i = lines.begin; i < lines.end;) {
    const int64_t plane = i / shapes_.outHeight, line = i % shapes_.outHeight;
    const Range rows = kernelRows(line);
    // Lines of one tile go on as tiles while the kernel lies inside.
    int64_t together = 1;
    const int64_t most = std::min(lines.end - i, shapes_.outHeight - line);
    if (runs_.size() == 1 && runs_[0].tiles == 1)
      while (together < most && kernelRows(line + together).begin == rows.begin &&
             kernelRows(line + together).end == rows.end)
        ++together;
    const float* from =
        x + plane * shapes_.inHeight * lineFloats +
        (line * conv.height.stride - conv.height.padBegin + rows.begin * conv.height.dilation) *
            lineFloats;
    const int64_t channel = plane % blocks * block;
    tile.w =
        owner_.weights_ + (plane % blocks * conv.taps() + rows.begin * conv.width.kernel) * block;
    tile.kernelRows = rows.size();
    for (const Run& run : runs_) {
      tile.x = from + (run.pixel * conv.width.stride - conv.width.padBegin) * block;
      tile.xTileStep = together > 1 ? conv.height.stride * lineFloats * 4
                                    : run.size * conv.width.stride * block * 4;
      tile.c.tiles = run.tiles * together;
      const int64_t pixel =
          (plane % blocks * shapes_.outHeight + line) * shapes_.outWidth + run.pixel;
      tile.c.pointers = pointers.at(plane / blocks, pixel * block, channel);
      (*run.kernel)(tile);
    }
    i += together;
  }
}

class ConvDepthwise : public Kernel {
 public:
  std::string_view name() const override { return "cpu/conv/depthwise"; }

  Support supports(const Problem& problem) const override {
    auto analysis = analyze(problem);
    if (auto* refusal = std::get_if<Refusal>(&analysis)) return *refusal;
    const ConvProblem& conv = std::get<ConvProblem>(analysis);
    const int64_t pixels =
        std::min(conv.block == 16 ? 14 : 7,
                 DepthwiseSpec::maxPixels(conv.block, static_cast<int>(conv.width.kernel)));
    Configuration configuration{{{"pixels", pixels}}, {}, {}};
    conv.setLayouts(problem, Layout::channelBlocked(conv.block), configuration);
    return std::vector<Configuration>{configuration};
  }

  Prepared prepare(const Problem& problem, const Configuration& configuration) const override {
    const ConvProblem conv = std::get<ConvProblem>(analyze(problem));
    const Tensor& w = *problem.inputs[static_cast<size_t>(conv.w)].constant;
    return preparedConv(problem, configuration, conv,
                        packWeights(conv, static_cast<const float*>(w.data())));
  }

  std::unique_ptr<BoundKernel> bind(const BindArguments& arguments) const override {
    return std::make_unique<BoundDepthwise>(arguments);
  }
};

}  // namespace

const Kernel& convDepthwise() {
  static const ConvDepthwise kernel;
  return kernel;
}

}  // namespace carnot
