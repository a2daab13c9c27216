#include <fmt/core.h>

#include <algorithm>

#include "base/threads.h"
#include "kernels/cpu/conv_problem.h"
#include "kernels/cpu/portable_kernel.h"
#include "kernels/cpu/portable_product.h"
#include "kernels/cpu/tile_kernels.h"
#include "ops/conv.h"

namespace carnot {
namespace {

constexpr int64_t kBandFloats = 1 << 16;  // of windows laid out as a matrix

// How a tail's operand lies over an image [channels, pixels].
struct Operand {
  bool alongImages = false, alongChannels = false, alongPixels = false;
};

// A convolution in plain layouts over one or two spatial axes.
struct PlainConv {
  AnchoredRegion region;
  int x = 0, w = 0;
  int64_t group = 1;
  bool line = false;
  WindowAxis height, width;  // their kernels come with the shapes of a run
  std::vector<Operand> operands;
};

std::variant<Refusal, PlainConv> analyze(const Problem& problem) {
  auto anchored = anchoredRegion(problem, "Conv", [](const ScalarProgram& program, IsaSet) {
    return portableEpilogueRefusal(program);
  });
  if (auto* refusal = std::get_if<Refusal>(&anchored)) return *refusal;
  PlainConv out;
  out.region = std::get<AnchoredRegion>(std::move(anchored));
  const Region::Step& step = *out.region.anchor;
  const Conv& conv = *step.op.as<Conv>();
  out.x = step.inputs[0];
  out.w = step.inputs[1];
  if (problem.inputs[static_cast<size_t>(out.x)].dtype != DType::F32)
    return Refusal{"multiplies float32"};
  const size_t axes = conv.strides.size();
  if (axes > 2) return Refusal{fmt::format("has one or two spatial axes, not {}", axes)};
  out.group = conv.group;
  out.line = axes == 1;
  auto axis = [&](size_t i) {
    return WindowAxis{1, conv.strides[i], conv.dilations[i], conv.pads[i], conv.pads[axes + i]};
  };
  if (!out.line) out.height = axis(0);
  out.width = axis(axes - 1);
  const int bias = step.inputs.size() > 2 ? step.inputs[2] : -1;
  if (bias >= 0) prependAddition(out.region, bias);
  const Shape& result = out.region.result.shape;
  for (size_t i = 0; i < out.region.operands.size(); ++i) {
    if (i == 0 && bias >= 0) {
      out.operands.push_back({.alongChannels = true});
      continue;
    }
    const Shape& shape = problem.inputs[static_cast<size_t>(out.region.operands[i])].shape;
    const auto variation = variationOf(shape, result);
    if (variation.empty())
      return Refusal{fmt::format("{} does not broadcast to {} for certain", shape.toString(),
                                 result.toString())};
    const std::span<const Along> spatial = std::span(variation).subspan(2);
    const bool varies = std::ranges::find(spatial, Along::Varies) != spatial.end();
    if (varies && std::ranges::find(spatial, Along::Fixed) != spatial.end())
      return Refusal{
          fmt::format("an operand {} repeats along some spatial axis", shape.toString())};
    out.operands.push_back({.alongImages = variation[0] == Along::Varies,
                            .alongChannels = variation[1] == Along::Varies,
                            .alongPixels = varies});
  }
  if (out.operands.size() > kMaxPortableOperands || problem.outputs.size() > kMaxPortableOperands)
    return Refusal{"the steps behind take too many operands"};
  return out;
}

class PortableConv : public Executable {
 public:
  PortableConv(const PlainConv& conv, const std::vector<int>& inputs,
               const std::vector<TensorType>& types, size_t outputs, int threads)
      : conv_(conv), inputs_(inputs), outputs_(outputs), height_(conv.height), width_(conv.width) {
    const auto x = types[static_cast<size_t>(conv.x)].shape.concrete();
    const auto w = types[static_cast<size_t>(conv.w)].shape.concrete();
    const auto y = types[static_cast<size_t>(conv.region.anchor->firstOutput)].shape.concrete();
    images_ = x[0];
    channels_ = w[1];
    outChannels_ = w[0] / conv.group;
    inWidth_ = x.back();
    outWidth_ = y.back();
    width_.kernel = w.back();
    if (!conv.line) {
      inHeight_ = x[2];
      pixels_ = y[2] * outWidth_;
      height_.kernel = w[2];
    } else {
      pixels_ = outWidth_;
    }
    products_ = channels_ * height_.kernel * width_.kernel;
    const int64_t most = std::max<int64_t>(1, kBandFloats / std::max<int64_t>(1, products_));
    const int64_t wanted =
        (threads + images_ * conv.group) / std::max<int64_t>(1, images_ * conv.group);
    const int64_t pixels =
        std::clamp((pixels_ + wanted - 1) / std::max<int64_t>(1, wanted), int64_t{1}, most);
    bandPixels_ = (pixels + kPortableWidth - 1) / kPortableWidth * kPortableWidth;
    bands_ = (pixels_ + bandPixels_ - 1) / bandPixels_;
    parts_ = static_cast<int>(std::clamp<int64_t>(images_ * conv.group * bands_, 1, threads));
  }

  size_t workspaceBytes() const override {
    return static_cast<size_t>(parts_ * bandPixels_ * products_) * sizeof(float);
  }

  void run(const RunArguments& arguments) const override {
    if (images_ * pixels_ == 0) return;
    arguments.pool->run(parts_, [&](int part) {
      auto* matrix = static_cast<float*>(arguments.workspace) + part * bandPixels_ * products_;
      const Range units = partOf(images_ * conv_.group * bands_, part, parts_);
      for (int64_t unit = units.begin; unit < units.end; ++unit)
        runBand(arguments, unit / bands_ / conv_.group, unit / bands_ % conv_.group, unit % bands_,
                matrix);
    });
  }

 private:
  const float* input(const RunArguments& arguments, int tensor) const {
    return static_cast<const float*>(arguments.inputs[positionOf(inputs_, tensor)]);
  }

  void runBand(const RunArguments& arguments, int64_t image, int64_t group, int64_t band,
               float* matrix) const {
    const Range pixels{band * bandPixels_, std::min((band + 1) * bandPixels_, pixels_)};
    layOut(input(arguments, conv_.x) +
               (image * conv_.group + group) * channels_ * inHeight_ * inWidth_,
           pixels, matrix);
    const int64_t first = (image * conv_.group + group) * outChannels_;
    auto* y = static_cast<float*>(arguments.outputs[0]) + first * pixels_ + pixels.begin;
    portableProduct(input(arguments, conv_.w) + group * outChannels_ * products_, products_, matrix,
                    y, pixels_, outChannels_, pixels.size(), products_);
    if (conv_.region.program.outputs.empty()) return;
    for (int64_t i = 0; i < outChannels_; ++i)
      finishRow(arguments, image, group * outChannels_ + i, pixels);
  }

  // The windows of `pixels` as a matrix [products × pixels] in panels.
  void layOut(const float* x, Range pixels, float* out) const {
    for (int64_t product = 0; product < products_; ++product) {
      const int64_t column = product % width_.kernel,
                    row = product / width_.kernel % height_.kernel;
      const float* plane = x + product / width_.kernel / height_.kernel * inHeight_ * inWidth_;
      for (int64_t i = 0;
           i < (pixels.size() + kPortableWidth - 1) / kPortableWidth * kPortableWidth; ++i) {
        const int64_t pixel = pixels.begin + i;
        const int64_t inY =
            pixel / outWidth_ * height_.stride - height_.padBegin + row * height_.dilation;
        const int64_t inX =
            pixel % outWidth_ * width_.stride - width_.padBegin + column * width_.dilation;
        const bool inside =
            pixel < pixels.end && inY >= 0 && inY < inHeight_ && inX >= 0 && inX < inWidth_;
        out[(i / kPortableWidth * products_ + product) * kPortableWidth + i % kPortableWidth] =
            inside ? plane[inY * inWidth_ + inX] : 0.0f;
      }
    }
  }

  void finishRow(const RunArguments& arguments, int64_t image, int64_t channel,
                 Range pixels) const {
    const int64_t allChannels = conv_.group * outChannels_;
    PortableRow row{};
    for (size_t i = 0; i < outputs_; ++i)
      row.outputs[i] = static_cast<float*>(arguments.outputs[i]) +
                       (image * allChannels + channel) * pixels_ + pixels.begin;
    for (size_t i = 0; i < conv_.operands.size(); ++i) {
      const Operand& operand = conv_.operands[i];
      const int64_t ofChannel = operand.alongPixels ? pixels_ : 1;
      const int64_t ofImage = operand.alongChannels ? allChannels * ofChannel : ofChannel;
      row.dense[i] = operand.alongPixels;
      row.operands[i] = input(arguments, conv_.region.operands[i]) +
                        (operand.alongImages ? image * ofImage : 0) +
                        (operand.alongChannels ? channel * ofChannel : 0) +
                        (operand.alongPixels ? pixels.begin : 0);
    }
    portableEpilogue(conv_.region.program, row, pixels.size());
  }

  const PlainConv& conv_;
  const std::vector<int>& inputs_;
  const size_t outputs_;
  WindowAxis height_, width_;
  int64_t images_ = 0, channels_ = 0, outChannels_ = 0, inHeight_ = 1, inWidth_ = 0, outWidth_ = 0;
  int64_t pixels_ = 0, products_ = 0, bandPixels_ = 1, bands_ = 1;
  int parts_ = 1;
};

}  // namespace

// Convolutions on any processor, of weights constant or not, as products with windows laid out.
const Kernel& convPortable() {
  static const PortableKernel<PlainConv, PortableConv> kernel("cpu/conv/portable", analyze);
  return kernel;
}

}  // namespace carnot
