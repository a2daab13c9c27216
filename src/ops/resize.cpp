#include "ops/resize.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "ops/define.h"
#include "ops/elements.h"
#include "ops/onnx_resize.h"
#include "ops/requirements.h"

namespace carnot {

static void infer(const Resize& resize, InferContext& context) {
  const Shape& x = context.shape(0);
  context.require(resize.shape.rank() == x.rank(),
                  fmt::format("{} resized to {}", x.toString(), resize.shape.toString()),
                  "the same rank");
  requireDims(context, resize.shape);
  context.require(resize.scales.empty() || resize.scales.size() == x.rank(),
                  fmt::format("{} scales", resize.scales.size()),
                  fmt::format("{}, one an axis", x.rank()));
  for (double scale : resize.scales)
    context.require(scale > 0, fmt::format("a scale of {}", scale), "a positive one");
  if (resize.mode != ResizeMode::Nearest) requireNumber(context, 0);
  for (size_t axis = 0; axis < x.rank(); ++axis)
    context.require(x[axis] != Dim(0) || resize.shape[axis] == Dim(0), "an axis without elements",
                    "at least one");
  if (resize.coordinates == ResizeCoordinates::TfCropAndResize) {
    context.require(context.has(1), "no region (input 1)", "one, to crop");
    context.require(isFloat(context.dtype(1)) && context.rank(1) == 1,
                    fmt::format("region of type {}", context.type(1).toString()),
                    "a list of floating-point numbers");
    context.requireEqual(context.shape(1)[0], Dim(static_cast<int64_t>(2 * x.rank())),
                         "region and twice the rank");
  }
  context.setOutput(0, context.dtype(0), resize.shape);
}

static std::vector<ResizeAxis> tablesOf(const Resize& resize, const ReferenceContext& context) {
  const auto from = context.in(0).dims, to = context.out(0).dims;
  std::vector<ResizeAxis> tables;
  for (size_t axis = 0; axis < from.size(); ++axis) {
    double start = 0, end = 1;
    if (resize.coordinates == ResizeCoordinates::TfCropAndResize) {
      start = context.in(1).loadDouble(static_cast<int64_t>(axis));
      end = context.in(1).loadDouble(static_cast<int64_t>(from.size() + axis));
    }
    tables.push_back(resizeAxis(resize, axis, from[axis], to[axis], start, end));
  }
  return tables;
}

// One element an output: moved bit for bit, so that every type keeps its values.
static void resizeNearest(const Resize& resize, std::span<const ResizeAxis> tables,
                          const TensorView& x, const TensorView& y) {
  const std::vector<int64_t> strides = rowMajorStrides(x.dims);
  int64_t out = 0;
  forEachIndex(y.dims, [&](std::span<const int64_t> at) {
    int64_t from = 0;
    bool outside = false;
    for (size_t axis = 0; axis < at.size(); ++axis) {
      const auto i = static_cast<size_t>(at[axis]);
      from += tables[axis].elements[i] * strides[axis];
      outside = outside || tables[axis].outside[i];
    }
    if (outside)
      y.storeDouble(out, resize.extrapolation);
    else
      copyElement(x, from, y, out);
    ++out;
  });
}

template <typename Number>
static std::vector<Number> resizeAlong(const Resize& resize, const ResizeAxis& table,
                                       const AxisSplit& split, int64_t output,
                                       std::span<const Number> x) {
  std::vector<Number> y(static_cast<size_t>(split.outer * output * split.inner));
  for (int64_t i = 0; i < split.outer * output * split.inner; ++i) {
    const int64_t outer = i / (output * split.inner), inner = i % split.inner;
    const auto along = static_cast<size_t>(i / split.inner % output);
    Number sum = 0;
    for (size_t tap = 0; tap < static_cast<size_t>(table.taps); ++tap) {
      const size_t at = along * static_cast<size_t>(table.taps) + tap;
      const int64_t from = (outer * split.extent + table.elements[at]) * split.inner + inner;
      sum += table.weights[at] * x[static_cast<size_t>(from)];
    }
    y[static_cast<size_t>(i)] = table.outside[along] ? resize.extrapolation : sum;
  }
  return y;
}

// Integers round to nearest even and saturate.
static void storeRounded(const TensorView& y, int64_t i, double value) {
  if (isFloat(y.dtype)) return y.storeDouble(i, value);
  storeLowest(y, i);
  const double lowest = y.loadDouble(i);
  storeHighest(y, i);
  const double highest = y.loadDouble(i), rounded = std::nearbyint(value);
  if (rounded <= lowest) return storeLowest(y, i);
  if (rounded < highest) y.storeDouble(i, rounded);
}

static void storeRounded(const TensorView& y, int64_t i, std::complex<double> value) {
  y.storeComplex(i, value);
}

template <typename Number>
static void interpolate(const Resize& resize, std::span<const ResizeAxis> tables,
                        const TensorView& x, const TensorView& y) {
  std::vector<Number> values = loadNumbers<Number>(x);
  std::vector<int64_t> dims(x.dims.begin(), x.dims.end());
  for (size_t axis = 0; axis < dims.size(); ++axis) {
    values = resizeAlong<Number>(resize, tables[axis], splitAt(dims, axis), y.dims[axis], values);
    dims[axis] = y.dims[axis];
  }
  for (size_t i = 0; i < values.size(); ++i) storeRounded(y, static_cast<int64_t>(i), values[i]);
}

static void reference(const Resize& resize, const ReferenceContext& context) {
  const TensorView &x = context.in(0), &y = context.out(0);
  if (y.count() == 0) return;
  const std::vector<ResizeAxis> tables = tablesOf(resize, context);
  if (resize.mode == ResizeMode::Nearest) return resizeNearest(resize, tables, x, y);
  if (isComplex(x.dtype)) return interpolate<std::complex<double>>(resize, tables, x, y);
  interpolate<double>(resize, tables, x, y);
}

static Cost cost(const Resize& resize, const CostContext& context) {
  const std::vector<int64_t> from = context.inputs[0].shape.concrete();
  const std::vector<int64_t> to = context.outputs[0].shape.concrete();
  double flops = 0;
  for (size_t axis = 0; axis < from.size(); ++axis)
    if (from[axis] != to[axis])
      flops += context.elements() * (resize.mode == ResizeMode::Nearest  ? 0
                                     : resize.mode == ResizeMode::Linear ? 4
                                                                         : 8);
  return {.flops = flops, .bytes = context.allBytes()};
}

template <>
const OpDef& definitionOf<Resize>() {
  static const OpDef kRow = defineOperator<Resize>(
      "Resize", Access::Window,
      {{"", "Resize", 10, 0, importResize}, {"", "Upsample", 1, 0, importUpsample}});
  return kRow;
}

}  // namespace carnot
