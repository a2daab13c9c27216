#include "ops/grid_sample.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "ops/define.h"
#include "ops/elements.h"
#include "ops/onnx_node.h"

namespace carnot {

static void infer(const GridSample&, InferContext& context) {
  const Shape &x = context.shape(0), &grid = context.shape(1);
  context.require(x.rank() >= 3 && grid.rank() == x.rank(),
                  fmt::format("input {} and grid {}", x.toString(), grid.toString()),
                  "[N, C, spatial...] and [N, spatial..., axes]");
  context.require(isFloat(context.dtype(1)),
                  fmt::format("grid of type {}", dtypeName(context.dtype(1))),
                  "a floating-point type");
  context.requireEqual(x[0], grid[0], "batches of input and grid");
  context.requireEqual(grid[grid.rank() - 1], Dim(static_cast<int64_t>(x.rank()) - 2),
                       "coordinates of a point and spatial axes");
  Shape out{x[0], x[1]};
  for (size_t axis = 1; axis + 1 < grid.rank(); ++axis) out.push(grid[axis]);
  context.setOutput(0, context.dtype(0), std::move(out));
}

namespace {

// Mirrors `at` at both borders until it lies between them.
double reflect(double at, double low, double high) {
  if (high <= low) return low;
  const double range = high - low;
  double offset = std::fmod(std::abs(at - low), 2 * range);
  if (offset > range) offset = 2 * range - offset;
  return low + offset;
}

// Elements of one axis that a point is made of, -1 for outside, and their weights.
struct Taps {
  std::vector<int64_t> elements;
  std::vector<double> weights;
};

int64_t padElement(const GridSample& sample, double element, int64_t extent) {
  if (extent == 0 || std::isnan(element)) return -1;
  const double last = static_cast<double>(extent) - 1;
  if (element >= 0 && element <= last) return static_cast<int64_t>(element);
  switch (sample.padding) {
    case GridSamplePadding::Zeros:
      return -1;
    case GridSamplePadding::Border:
      return element < 0 ? 0 : extent - 1;
    case GridSamplePadding::Reflection:
      break;
  }
  const double edge = sample.alignCorners ? 0 : 0.5;
  const double mirrored = reflect(element, -edge, last + edge);
  return std::isnan(mirrored) ? -1
                              : std::clamp<int64_t>(static_cast<int64_t>(mirrored), 0, extent - 1);
}

Taps tapsOf(const GridSample& sample, double coordinate, int64_t extent) {
  const double count = static_cast<double>(extent), edge = sample.alignCorners ? 0 : 0.5;
  double at =
      sample.alignCorners ? (coordinate + 1) / 2 * (count - 1) : ((coordinate + 1) * count - 1) / 2;
  if (sample.mode == GridSampleMode::Nearest) at = std::nearbyint(at);
  // Cubic keeps the point and pads each of its taps, as PyTorch does.
  if (sample.mode != GridSampleMode::Cubic && (at < -edge || at > count - 1 + edge)) {
    if (sample.padding == GridSamplePadding::Border) at = std::clamp(at, 0.0, count - 1);
    if (sample.padding == GridSamplePadding::Reflection) at = reflect(at, -edge, count - 1 + edge);
  }
  Taps taps;
  auto add = [&](double element, double weight) {
    taps.elements.push_back(padElement(sample, element, extent));
    taps.weights.push_back(weight);
  };
  const double base = std::floor(at), ratio = at - base;
  if (sample.mode == GridSampleMode::Nearest) {
    add(std::trunc(at), 1);
  } else if (sample.mode == GridSampleMode::Linear) {
    add(base, 1 - ratio);
    add(base + 1, ratio);
  } else {
    constexpr double a = -0.75;
    auto near = [](double x) { return ((a + 2) * x - (a + 3)) * x * x + 1; };
    auto far = [](double x) { return ((a * x - 5 * a) * x + 8 * a) * x - 4 * a; };
    add(base - 1, far(1 + ratio));
    add(base, near(ratio));
    add(base + 1, near(1 - ratio));
    add(base + 2, far(2 - ratio));
  }
  return taps;
}

}  // namespace

template <typename Number>
static void sampleAll(const GridSample& sample, const ReferenceContext& context) {
  const TensorView &x = context.in(0), &grid = context.in(1), &y = context.out(0);
  const auto spatial = x.dims.subspan(2);
  const size_t axes = spatial.size();
  const std::vector<int64_t> strides = rowMajorStrides(spatial);
  const int64_t channels = x.dims[1], plane = elementCount(spatial);
  const int64_t points = elementCount(y.dims.subspan(2));
  std::vector<Taps> taps(axes);
  std::vector<int64_t> counts(axes);
  for (int64_t point = 0; point < x.dims[0] * points; ++point) {
    for (size_t axis = 0; axis < axes; ++axis) {
      const auto at = static_cast<int64_t>((static_cast<size_t>(point) + 1) * axes - 1 - axis);
      taps[axis] = tapsOf(sample, grid.loadDouble(at), spatial[axis]);
      counts[axis] = static_cast<int64_t>(taps[axis].weights.size());
    }
    for (int64_t c = 0; c < channels; ++c) {
      const int64_t n = point / points;
      Number sum = 0;
      forEachIndex(counts, [&](std::span<const int64_t> tap) {
        int64_t from = (n * channels + c) * plane;
        double weight = 1;
        bool inside = true;
        for (size_t axis = 0; axis < axes; ++axis) {
          const auto i = static_cast<size_t>(tap[axis]);
          inside = inside && taps[axis].elements[i] >= 0;
          from += taps[axis].elements[i] * strides[axis];
          weight *= taps[axis].weights[i];
        }
        if (inside) sum += weight * loadNumber<Number>(x, from);
      });
      storeNumber(y, (n * channels + c) * points + point % points, sum);
    }
  }
}

static void reference(const GridSample& sample, const ReferenceContext& context) {
  if (isComplex(context.in(0).dtype)) return sampleAll<std::complex<double>>(sample, context);
  sampleAll<double>(sample, context);
}

static Cost cost(const GridSample& sample, const CostContext& context) {
  const double taps = sample.mode == GridSampleMode::Nearest  ? 1
                      : sample.mode == GridSampleMode::Linear ? 2
                                                              : 4;
  const auto axes = static_cast<double>(context.inputs[0].shape.rank() - 2);
  return {.flops = 2 * context.elements() * std::pow(taps, axes), .bytes = context.allBytes()};
}

static void importGridSample(OnnxNode& node) {
  GridSample sample{.alignCorners = node.attributeInt("align_corners", 0) != 0};
  const std::string mode = node.attributeString("mode", node.opset() < 20 ? "bilinear" : "linear");
  const std::string padding = node.attributeString("padding_mode", "zeros");
  if (mode == "nearest")
    sample.mode = GridSampleMode::Nearest;
  else if (mode == "cubic" || mode == "bicubic")
    sample.mode = GridSampleMode::Cubic;
  else if (mode != "linear" && mode != "bilinear")
    throw Error(ErrorCode::InvalidModel, fmt::format("mode \"{}\"", mode),
                "linear, nearest or cubic");
  if (padding == "border")
    sample.padding = GridSamplePadding::Border;
  else if (padding == "reflection")
    sample.padding = GridSamplePadding::Reflection;
  else if (padding != "zeros")
    throw Error(ErrorCode::InvalidModel, fmt::format("padding_mode \"{}\"", padding),
                "zeros, border or reflection");
  node.setOutput(0, node.emit(Operator::of(sample), {node.requireInput(0), node.requireInput(1)}));
}

template <>
const OpDef& definitionOf<GridSample>() {
  static const OpDef kRow = defineOperator<GridSample>(
      "GridSample", Access::Opaque, {{"", "GridSample", 16, 0, importGridSample}});
  return kRow;
}

}  // namespace carnot
