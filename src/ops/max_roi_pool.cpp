#include "ops/max_roi_pool.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "ops/define.h"
#include "ops/onnx_node.h"
#include "ops/requirements.h"

namespace carnot {

static void infer(const MaxRoiPool& op, InferContext& context) {
  const Shape &x = context.shape(0), &regions = context.shape(1);
  requireFloat(context, 0);
  context.requireSameDType(0, 1);
  context.require(x.rank() == 4 && regions.rank() == 2,
                  fmt::format("input {} and regions {}", x.toString(), regions.toString()),
                  "[N, C, H, W] and [regions, 5]");
  context.requireEqual(regions[1], Dim(5), "numbers of a region and 5");
  context.require(op.height >= 1 && op.width >= 1,
                  fmt::format("output {} x {}", op.height, op.width), "at least 1 x 1");
  context.setOutput(0, context.dtype(0), {regions[0], x[1], op.height, op.width});
}

namespace {

struct Extent {
  int64_t begin, end;
};

// The elements of bin i of `count` along an axis of `size` elements, of a region from `first` to
// `last`.
Extent binOf(double first, double last, int64_t i, int64_t count, int64_t size) {
  const double start = std::round(first);
  const double length = std::max(std::round(last) - start + 1, 1.0) / static_cast<double>(count);
  const auto within = [&](double at) {
    return static_cast<int64_t>(std::clamp(at + start, 0.0, static_cast<double>(size)));
  };
  return {within(std::floor(static_cast<double>(i) * length)),
          within(std::ceil(static_cast<double>(i + 1) * length))};
}

}  // namespace

static void reference(const MaxRoiPool& op, const ReferenceContext& context) {
  const TensorView &x = context.in(0), &regions = context.in(1), &y = context.out(0);
  const int64_t images = x.dims[0], channels = x.dims[1], rows = x.dims[2], columns = x.dims[3];
  int64_t out = 0;
  for (int64_t region = 0; region < regions.dims[0]; ++region) {
    double corners[5];
    for (int64_t i = 0; i < 5; ++i) {
      corners[i] = regions.loadDouble(region * 5 + i) * (i > 0 ? op.scale : 1);
      if (!std::isfinite(corners[i]))
        throw Error(ErrorCode::InvalidArgument, fmt::format("region {} without an extent", region),
                    "numbers");
    }
    const double image = corners[0];
    if (!(image >= 0 && image < static_cast<double>(images)))
      throw Error(ErrorCode::InvalidArgument, fmt::format("region {} of image {}", region, image),
                  fmt::format("0 to {}", images - 1));
    for (int64_t channel = 0; channel < channels; ++channel) {
      const int64_t plane = (static_cast<int64_t>(image) * channels + channel) * rows * columns;
      for (int64_t i = 0; i < op.height; ++i)
        for (int64_t j = 0; j < op.width; ++j) {
          const Extent down = binOf(corners[2], corners[4], i, op.height, rows);
          const Extent across = binOf(corners[1], corners[3], j, op.width, columns);
          const bool empty = down.begin >= down.end || across.begin >= across.end;
          double most = empty ? 0 : x.loadDouble(plane + down.begin * columns + across.begin);
          for (int64_t row = down.begin; row < down.end; ++row)
            for (int64_t column = across.begin; column < across.end; ++column)
              most = std::max(most, x.loadDouble(plane + row * columns + column));
          y.storeDouble(out++, most);
        }
    }
  }
}

static Cost cost(const MaxRoiPool&, const CostContext& context) {
  return {.flops = context.elements(), .bytes = context.allBytes()};
}

static void importMaxRoiPool(OnnxNode& node) {
  const std::vector<int64_t> size = node.attributeInts("pooled_shape");
  if (size.size() != 2)
    throw Error(ErrorCode::InvalidModel, fmt::format("pooled_shape of {} numbers", size.size()),
                "two");
  const MaxRoiPool op{
      .height = size[0], .width = size[1], .scale = node.attributeFloat("spatial_scale", 1)};
  node.setOutput(0, node.emit(Operator::of(op), {node.requireInput(0), node.requireInput(1)}));
}

template <>
const OpDef& definitionOf<MaxRoiPool>() {
  static const OpDef kRow = defineOperator<MaxRoiPool>(
      "MaxRoiPool", Access::Opaque, {{"", "MaxRoiPool", 1, 0, importMaxRoiPool}});
  return kRow;
}

}  // namespace carnot
