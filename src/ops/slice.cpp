#include "ops/slice.h"

#include <algorithm>

#include "base/error.h"
#include "ops/contents.h"
#include "ops/define.h"
#include "ops/elements.h"
#include "ops/onnx_slice.h"

namespace carnot {

int64_t sliceStart(int64_t start, int64_t step, int64_t extent) {
  const int64_t most = step > 0 ? extent : extent - 1;
  return std::min(start < 0 ? std::max<int64_t>(0, start + extent) : start, most);
}

static void reference(const Slice& slice, const ReferenceContext& context) {
  const TensorView &x = context.in(0), &y = context.out(0);
  std::vector<int64_t> strides = rowMajorStrides(x.dims);
  int64_t first = 0;
  for (size_t i = 0; i < slice.axes.size(); ++i) {
    const auto axis = static_cast<size_t>(slice.axes[i]);
    const int64_t start = context.in(1).loadInt(static_cast<int64_t>(i));
    first += strides[axis] * sliceStart(start, slice.steps[i], x.dims[axis]);
    // A longer step than the axis takes one element at most.
    const int64_t most = std::max<int64_t>(1, x.dims[axis]);
    strides[axis] *= std::clamp(slice.steps[i], -most, most);
  }
  int64_t out = 0;
  forEachIndex(y.dims, [&](std::span<const int64_t> at) {
    copyElement(x, first + offsetOf(at, strides), y, out++);
  });
}

// Whether a bound counts from the end. Throws Error (Unsupported) where that depends on a symbol.
static bool isNegative(const Dim& bound) {
  if (auto known = bound.tryConstant()) return *known < 0;
  const Dim::Range range = bound.range([](const std::string&) { return Dim::Range{1, {}}; });
  if (range.low && *range.low >= 0) return false;
  if (range.high && *range.high < 0) return true;
  throw Error(ErrorCode::Unsupported,
              fmt::format("a slice bound {} of unknown sign", bound.toString()),
              "one that is never, or always, negative", "fix the dims that it depends on");
}

// Bounds past any extent mean the end; kept small so that sums with dims do not overflow.
static Dim tame(const Dim& bound) {
  auto known = bound.tryConstant();
  return known ? Dim(std::clamp(*known, -2 * Dim::kLargest, 2 * Dim::kLargest)) : bound;
}

static bool neverLess(const Dim& a, const Dim& b) {
  const Dim::Range gap = (a - b).range([](const std::string&) { return Dim::Range{}; });
  return gap.low && *gap.low >= 0;
}

// Elements of [start, end) by `step` in an axis. Forward both lie in [0, extent]; backward starts
// lie in [0, extent - 1] and ends in [-1, extent - 1]. Written so that the usual slices of a
// symbolic dim come out short.
static Dim sliceExtent(const Dim& start, const Dim& end, int64_t step, const Dim& extent) {
  const bool forward = step > 0, startsNegative = isNegative(start);
  const Dim most = forward ? extent : extent - 1;
  auto clampBound = [&](const Dim& bound, bool negative, int64_t least) {
    const Dim at = negative ? bound + extent : bound;
    return neverLess(at, most) ? most : min(negative ? max(Dim(least), at) : at, most);
  };
  const Dim from = clampBound(tame(start), startsNegative, 0);
  const Dim to = clampBound(tame(end), isNegative(end), forward ? 0 : -1);
  if (!forward) return max(Dim(0), ceilDiv(from - to, Dim(-step)));
  if (from == Dim(0)) return ceilDiv(to, Dim(step));
  const bool tail = to == extent && startsNegative;
  return ceilDiv(tail ? min(extent, -tame(start)) : max(Dim(0), to - from), Dim(step));
}

static void infer(const Slice& slice, InferContext& context) {
  Shape out = context.shape(0);
  const size_t count = slice.axes.size();
  context.require(slice.steps.size() == count, fmt::format("{} steps", slice.steps.size()),
                  fmt::format("{}, one an axis", count));
  std::vector<Dim> bounds[2];
  for (size_t i = 0; i < 2; ++i) {
    context.require(context.dtype(1 + i) == DType::I64 && context.rank(1 + i) == 1,
                    fmt::format("input {} of type {}", 1 + i, context.type(1 + i).toString()),
                    "a list of int64");
    auto contents = context.contentsOf(1 + i);
    if (!contents)
      throw Error(ErrorCode::Unsupported,
                  fmt::format("slice bounds computed from data (input {})", 1 + i),
                  "constants, or arithmetic on the dims of inputs");
    context.require(contents->size() == count,
                    fmt::format("{} bounds in input {}", contents->size(), 1 + i),
                    fmt::format("{}, one an axis", count));
    bounds[i] = std::move(*contents);
  }
  for (size_t i = 0; i < count; ++i) {
    const int64_t axis = slice.axes[i];
    context.require(axis >= 0 && axis < static_cast<int64_t>(out.rank()) &&
                        std::count(slice.axes.begin(), slice.axes.end(), axis) == 1,
                    fmt::format("axes {}", fieldToString(slice.axes)),
                    fmt::format("distinct axes of {}", context.shape(0).toString()));
    context.require(slice.steps[i] != 0, "a step of 0", "another");
    Dim& dim = out[static_cast<size_t>(axis)];
    const int64_t step = std::clamp(slice.steps[i], -Dim::kLargest, Dim::kLargest);
    dim = sliceExtent(bounds[0][i], bounds[1][i], step, dim);
  }
  context.setOutput(0, context.dtype(0), std::move(out));
  moveContents(context, {0}, [&](const ReferenceContext& run) { reference(slice, run); });
}

static Cost cost(const Slice&, const CostContext& context) {
  return {.flops = 0,
          .bytes = 2 * static_cast<double>(
                           dtypeBytes(context.outputs[0].dtype,
                                      elementCount(context.outputs[0].shape.concrete())))};
}

// A run of the input: one axis is cut, forward and without gaps, and nothing but 1 lies outside it.
static std::vector<Placement> placements(const Operator& op, const InferContext& context) {
  const auto& slice = *op.as<Slice>();
  const Shape& x = context.shape(0);
  const Shape& y = context.outputs[0].type.shape;
  const std::optional<std::vector<Dim>> starts = context.contentsOf(1);
  if (!starts) return {};
  Dim offset = 0;
  for (size_t i = 0; i < slice.axes.size(); ++i) {
    const auto axis = static_cast<size_t>(slice.axes[i]);
    if (slice.steps[i] != 1) return {};
    if (x[axis] == y[axis]) continue;  // all of the axis
    Dim start = (*starts)[i];
    if (x[axis].isConstant() && start.isConstant())
      start = sliceStart(start.constant(), 1, x[axis].constant());
    else if (isNegative(start) || !neverLess(x[axis], start))
      return {};
    if (x.elementCount(0, axis) != Dim(1)) return {};
    offset = offset + start * x.elementCount(axis + 1, x.rank());
  }
  return {{.input = 0, .inputInside = false, .offset = offset}};
}

template <>
const OpDef& definitionOf<Slice>() {
  static const OpDef kRow = [] {
    OpDef row =
        defineOperator<Slice>("Slice", Access::Permute,
                              {{"", "Slice", 1, 0, importSlice}, {"", "Split", 1, 0, importSplit}});
    row.placements = placements;
    return row;
  }();
  return kRow;
}

}  // namespace carnot
