#include "ops/deform_conv.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "ops/define.h"
#include "ops/elements.h"
#include "ops/onnx_window.h"
#include "ops/requirements.h"
#include "ops/window.h"

namespace carnot {

namespace {

enum Input : size_t { kX, kW, kOffset, kBias, kMask };

std::vector<int64_t> kernelOf(const InferContext& context) {
  std::vector<int64_t> kernel;
  for (size_t axis = 2; axis < context.rank(kW); ++axis) {
    auto size = context.shape(kW)[axis].tryConstant();
    if (!size)
      throw Error(ErrorCode::Unsupported,
                  fmt::format("weights of shape {}", context.shape(kW).toString()),
                  "a constant kernel size");
    kernel.push_back(*size);
  }
  return kernel;
}

// The value of a plane of `spatial` dims between its elements.
double valueAt(const TensorView& x, int64_t plane, std::span<const int64_t> spatial,
               std::span<const double> position) {
  double sum = 0;
  for (size_t corner = 0; corner < size_t{1} << spatial.size(); ++corner) {
    double weight = 1;
    int64_t offset = 0;
    bool inside = true;
    for (size_t axis = 0; axis < spatial.size() && inside; ++axis) {
      const double base = std::floor(position[axis]);
      const bool upper = (corner >> axis & 1) != 0;
      const double element = base + (upper ? 1 : 0), ratio = position[axis] - base;
      inside = element >= 0 && element < static_cast<double>(spatial[axis]);
      if (!inside) break;
      weight *= upper ? ratio : 1 - ratio;
      offset = offset * spatial[axis] + static_cast<int64_t>(element);
    }
    if (inside && weight != 0) sum += weight * x.loadDouble(plane + offset);
  }
  return sum;
}

}  // namespace

static void infer(const DeformConv& conv, InferContext& context) {
  const Shape &x = context.shape(kX), &w = context.shape(kW);
  context.require(x.rank() >= 3 && x.rank() == w.rank(),
                  fmt::format("input {} and weights {}", x.toString(), w.toString()),
                  "equal ranks of at least 3");
  requireFloat(context, kX);
  for (size_t input : {kW, kOffset, kBias, kMask})
    if (context.has(input)) context.requireSameDType(kX, input);
  const std::vector<int64_t> kernel = kernelOf(context);
  const Window window{kernel, conv.strides, conv.pads, conv.dilations};
  const size_t axes = x.rank() - 2;
  requireWindow(context, window, axes);
  context.require(conv.group >= 1 && conv.offsetGroups >= 1,
                  fmt::format("{} groups and {} of offsets", conv.group, conv.offsetGroups),
                  "at least 1");
  context.requireEqual(x[1], w[1] * Dim(conv.group), "channels of the input and of the weights");
  context.requireEqual(floorMod(w[0], Dim(conv.group)), Dim(0),
                       "output channels left over by the groups, and none");
  context.requireEqual(floorMod(x[1], Dim(conv.offsetGroups)), Dim(0),
                       "channels left over by the groups of offsets, and none");
  const Shape out = windowOutputShape(context, window, x, w[0]);
  const Dim taps = Dim(elementCount(kernel)) * Dim(conv.offsetGroups);
  auto requirePerTap = [&](size_t input, std::string_view name, const Dim& channels) {
    const Shape& has = context.shape(input);
    context.require(has.rank() == x.rank(), fmt::format("{} {}", name, has.toString()),
                    fmt::format("rank {}", x.rank()));
    context.requireEqual(has[0], x[0], fmt::format("batches of {} and input", name));
    context.requireEqual(has[1], channels, fmt::format("channels of {}, and those needed", name));
    for (size_t axis = 2; axis < out.rank(); ++axis)
      context.requireEqual(has[axis], out[axis],
                           fmt::format("dim {} of {} and output", axis, name));
  };
  requirePerTap(kOffset, "offset", taps * Dim(static_cast<int64_t>(axes)));
  if (context.has(kMask)) requirePerTap(kMask, "mask", taps);
  if (context.has(kBias)) {
    context.require(context.rank(kBias) == 1,
                    fmt::format("bias {}", context.shape(kBias).toString()), "rank 1");
    context.requireEqual(context.shape(kBias)[0], w[0], "bias and output channels");
  }
  context.setOutput(0, context.dtype(kX), out);
}

static void reference(const DeformConv& conv, const ReferenceContext& context) {
  const TensorView &x = context.in(kX), &w = context.in(kW), &offset = context.in(kOffset);
  const TensorView& y = context.out(0);
  const auto spatial = x.dims.subspan(2), kernel = w.dims.subspan(2), out = y.dims.subspan(2);
  const size_t axes = spatial.size();
  const auto axisCount = static_cast<int64_t>(axes);
  const int64_t taps = elementCount(kernel), points = elementCount(out);
  const int64_t plane = elementCount(spatial), channels = x.dims[1], filters = y.dims[1];
  const int64_t each = w.dims[1], filtersEach = filters / conv.group;
  const int64_t sharing = channels / conv.offsetGroups;  // channels of one group of offsets
  std::vector<double> columns(static_cast<size_t>(channels * taps)), position(axes);
  for (int64_t n = 0; n < y.dims[0]; ++n) {
    int64_t point = 0;
    forEachIndex(out, [&](std::span<const int64_t> at) {
      for (int64_t set = 0; set < conv.offsetGroups; ++set) {
        int64_t tap = 0;
        forEachIndex(kernel, [&](std::span<const int64_t> in) {
          const int64_t first = (n * conv.offsetGroups + set) * taps + tap;
          for (size_t axis = 0; axis < axes; ++axis) {
            const int64_t moved = first * axisCount + static_cast<int64_t>(axis);
            position[axis] = static_cast<double>(at[axis] * conv.strides[axis] - conv.pads[axis] +
                                                 in[axis] * conv.dilations[axis]) +
                             offset.loadDouble(moved * points + point);
          }
          const double factor =
              context.has(kMask) ? context.in(kMask).loadDouble(first * points + point) : 1;
          for (int64_t c = set * sharing; c < (set + 1) * sharing; ++c)
            columns[static_cast<size_t>(c * taps + tap)] =
                factor * valueAt(x, (n * channels + c) * plane, spatial, position);
          ++tap;
        });
      }
      for (int64_t m = 0; m < filters; ++m) {
        double sum = context.has(kBias) ? context.in(kBias).loadDouble(m) : 0;
        const int64_t from = m / filtersEach * each * taps;
        for (int64_t i = 0; i < each * taps; ++i)
          sum += columns[static_cast<size_t>(from + i)] * w.loadDouble(m * each * taps + i);
        y.storeDouble((n * filters + m) * points + point, sum);
      }
      ++point;
    });
  }
}

static Cost cost(const DeformConv&, const CostContext& context) {
  const std::vector<int64_t> w = context.inputs[kW].shape.concrete(),
                             x = context.inputs[kX].shape.concrete();
  const double filters = static_cast<double>(elementCount(w)) / static_cast<double>(w[0]);
  const double taps = filters / static_cast<double>(w[1]) * static_cast<double>(x[1]);
  const double corners = std::pow(2, static_cast<double>(w.size()) - 2);
  const double points = context.elements() / static_cast<double>(std::max<int64_t>(w[0], 1));
  return {.flops = 2 * context.elements() * filters + 2 * points * taps * corners,
          .bytes = context.allBytes()};
}

static void importDeformConv(OnnxNode& node) {
  const OnnxNode::Ref x = node.requireInput(0);
  WindowAttributes window = importWindow(node, node.shapeOf(x), importKernel(node, 1));
  DeformConv conv{.strides = std::move(window.strides),
                  .pads = std::move(window.pads),
                  .dilations = std::move(window.dilations),
                  .group = node.attributeInt("group", 1),
                  .offsetGroups = node.attributeInt("offset_group", 1)};
  const OnnxNode::Ref inputs[] = {x, node.requireInput(1), node.requireInput(2), node.input(3),
                                  node.input(4)};
  node.setOutput(0, node.emit(Operator::of(std::move(conv)), inputs));
}

template <>
const OpDef& definitionOf<DeformConv>() {
  static const OpDef kRow = defineOperator<DeformConv>(
      "DeformConv", Access::Window, {{"", "DeformConv", 19, 0, importDeformConv}});
  return kRow;
}

}  // namespace carnot
