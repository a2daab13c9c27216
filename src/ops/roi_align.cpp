#include "ops/roi_align.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "ops/define.h"
#include "ops/elements.h"
#include "ops/onnx_node.h"
#include "ops/requirements.h"

namespace carnot {

static void infer(const RoiAlign& op, InferContext& context) {
  const Shape &x = context.shape(0), &regions = context.shape(1), &images = context.shape(2);
  requireFloat(context, 0);
  context.requireSameDType(0, 1);
  requireIndexType(context, 2);
  context.require(x.rank() == 4, fmt::format("input {}", x.toString()), "[N, C, H, W]");
  context.require(regions.rank() == 2 && images.rank() == 1,
                  fmt::format("regions {} of images {}", regions.toString(), images.toString()),
                  "[regions, 4] and [regions]");
  context.requireEqual(regions[1], Dim(4), "coordinates of a region and 4");
  context.requireEqual(regions[0], images[0], "regions and their images");
  context.require(op.height >= 1 && op.width >= 1 && op.samples >= 0,
                  fmt::format("output {} x {} of {} samples", op.height, op.width, op.samples),
                  "at least 1 x 1 of 0 samples or more");
  context.setOutput(0, context.dtype(0), {regions[0], x[1], op.height, op.width});
}

namespace {

constexpr int64_t kMostSamples = 1 << 16;  // along one axis of a bin, where regions decide

// Along one axis: where a region starts and how its bins are sampled.
struct Bins {
  double start, size;  // of a bin
  int64_t samples;

  Bins(const RoiAlign& op, double begin, double end, int64_t count)
      : start(begin * op.scale - (op.halfPixel ? 0.5 : 0)) {
    double extent = (end - begin) * op.scale;
    if (!op.halfPixel) extent = std::max(extent, 1.0);
    size = extent / static_cast<double>(count);
    if (op.samples == 0 && !(size <= kMostSamples))
      throw Error(ErrorCode::InvalidArgument,
                  fmt::format("a region from {} to {}, {} samples a bin", begin, end, size),
                  fmt::format("at most {}", kMostSamples));
    samples = op.samples > 0 ? op.samples : static_cast<int64_t>(std::ceil(size));
  }
  double at(int64_t bin, int64_t sample) const {
    return start + static_cast<double>(bin) * size +
           (static_cast<double>(sample) + 0.5) * size / static_cast<double>(samples);
  }
};

// The two elements that a sample lies between, and their weights; none of it counts when it lies
// outside by more than one element.
struct Taps {
  int64_t elements[2];
  double weights[2];
  bool inside;

  Taps(double at, int64_t extent) : inside(at >= -1 && at <= static_cast<double>(extent)) {
    const auto last = static_cast<double>(extent) - 1;
    at = std::isnan(at) ? 0 : std::clamp(at, 0.0, last);
    elements[0] = static_cast<int64_t>(at);
    elements[1] = std::min(elements[0] + 1, extent - 1);
    weights[1] = at - static_cast<double>(elements[0]);
    weights[0] = 1 - weights[1];
  }
};

}  // namespace

static void reference(const RoiAlign& op, const ReferenceContext& context) {
  const TensorView &x = context.in(0), &regions = context.in(1), &y = context.out(0);
  const int64_t channels = x.dims[1], height = x.dims[2], width = x.dims[3];
  const int64_t bins = op.height * op.width;
  for (int64_t region = 0; region < y.dims[0]; ++region) {
    const int64_t image = context.in(2).loadInt(region);
    if (image < 0 || image >= x.dims[0] || height == 0 || width == 0)
      throw Error(ErrorCode::InvalidArgument, fmt::format("a region of image {}", image),
                  fmt::format("one of {} images that are not empty", x.dims[0]));
    auto corner = [&](int64_t i) { return regions.loadDouble(region * 4 + i); };
    const Bins across(op, corner(0), corner(2), op.width),
        down(op, corner(1), corner(3), op.height);
    const auto count = static_cast<double>(std::max<int64_t>(across.samples * down.samples, 1));
    for (int64_t bin = 0; bin < bins; ++bin) {
      for (int64_t c = 0; c < channels; ++c) {
        const int64_t plane = (image * channels + c) * height * width;
        double sum = 0;
        bool first = true;
        for (int64_t i = 0; i < down.samples * across.samples; ++i) {
          const Taps v(down.at(bin / op.width, i / across.samples), height);
          const Taps h(across.at(bin % op.width, i % across.samples), width);
          for (int tap = 0; tap < 4; ++tap) {
            const int row = tap / 2, column = tap % 2;
            const double value =
                !v.inside || !h.inside
                    ? 0
                    : v.weights[row] * h.weights[column] *
                          x.loadDouble(plane + v.elements[row] * width + h.elements[column]);
            if (!op.maximum)
              sum += value;
            else if (first || value > sum)
              sum = value;
            first = false;
          }
        }
        y.storeDouble((region * channels + c) * bins + bin, op.maximum ? sum : sum / count);
      }
    }
  }
}

static Cost cost(const RoiAlign& op, const CostContext& context) {
  const double samples = op.samples > 0 ? static_cast<double>(op.samples * op.samples) : 4;
  return {.flops = context.elements() * samples * 8, .bytes = context.allBytes()};
}

static void importRoiAlign(OnnxNode& node) {
  const std::string mode = node.attributeString("mode", "avg");
  const std::string coordinates = node.attributeString(
      "coordinate_transformation_mode", node.opset() < 16 ? "output_half_pixel" : "half_pixel");
  if (mode != "avg" && mode != "max")
    throw Error(ErrorCode::InvalidModel, fmt::format("mode \"{}\"", mode), "avg or max");
  if (coordinates != "half_pixel" && coordinates != "output_half_pixel")
    throw Error(ErrorCode::InvalidModel,
                fmt::format("coordinate_transformation_mode \"{}\"", coordinates),
                "half_pixel or output_half_pixel");
  const RoiAlign op{.height = node.attributeInt("output_height", 1),
                    .width = node.attributeInt("output_width", 1),
                    .samples = node.attributeInt("sampling_ratio", 0),
                    .scale = node.attributeFloat("spatial_scale", 1),
                    .maximum = mode == "max",
                    .halfPixel = coordinates == "half_pixel"};
  node.setOutput(0, node.emit(Operator::of(op),
                              {node.requireInput(0), node.requireInput(1), node.requireInput(2)}));
}

template <>
const OpDef& definitionOf<RoiAlign>() {
  static const OpDef kRow = defineOperator<RoiAlign>("RoiAlign", Access::Opaque,
                                                     {{"", "RoiAlign", 10, 0, importRoiAlign}});
  return kRow;
}

}  // namespace carnot
