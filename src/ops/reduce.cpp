#include "ops/reduce.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "base/error.h"
#include "ops/contents.h"
#include "ops/define.h"
#include "ops/elements.h"
#include "ops/onnx_axes.h"
#include "ops/onnx_normalizations.h"

namespace carnot {

std::string_view reduceKindName(ReduceKind kind) {
  static constexpr std::string_view kNames[] = {"Sum", "Mean", "Max",       "Min",    "Prod",
                                                "L1",  "L2",   "SumSquare", "LogSum", "LogSumExp"};
  return kNames[static_cast<size_t>(kind)];
}

static double reduceDoubles(ReduceKind kind, std::span<const double> values) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  auto sumOf = [&](auto&& term) {
    double sum = 0;
    for (double value : values) sum += term(value);
    return sum;
  };
  auto extreme = [&](double start, auto&& beats) {
    for (double value : values)
      if (beats(value, start) || std::isnan(value)) start = value;
    return start;
  };
  const auto same = [](double value) { return value; };
  const auto square = [](double value) { return value * value; };
  switch (kind) {
    case ReduceKind::Sum:
      return sumOf(same);
    case ReduceKind::Mean:
      return sumOf(same) / static_cast<double>(values.size());
    case ReduceKind::Max:
      return extreme(-kInfinity, std::greater<>());
    case ReduceKind::Min:
      return extreme(kInfinity, std::less<>());
    case ReduceKind::Prod:
      return std::accumulate(values.begin(), values.end(), 1.0, std::multiplies<>());
    case ReduceKind::L1:
      return sumOf([](double value) { return std::abs(value); });
    case ReduceKind::L2:
      return std::sqrt(sumOf(square));
    case ReduceKind::SumSquare:
      return sumOf(square);
    case ReduceKind::LogSum:
      return std::log(sumOf(same));
    case ReduceKind::LogSumExp: {
      const double most = extreme(-kInfinity, std::greater<>());
      if (std::isinf(most) || std::isnan(most)) return most;
      return most + std::log(sumOf([&](double value) { return std::exp(value - most); }));
    }
  }
  throwInternal("reduce kind");
}

// Kinds whose value is exact in integers; wraps.
static uint64_t reduceInts(ReduceKind kind, std::span<const int64_t> values) {
  uint64_t result = kind == ReduceKind::Prod ? 1 : 0;
  for (int64_t value : values) {
    const auto bits = static_cast<uint64_t>(value);
    if (kind == ReduceKind::Prod)
      result *= bits;
    else if (kind == ReduceKind::SumSquare)
      result += bits * bits;
    else if (kind == ReduceKind::L1)
      result += value < 0 ? 0 - bits : bits;
    else
      result += bits;
  }
  return result;
}

// The offset of Max's or Min's element among the integers, or -1 without any.
static int64_t extremeInt(bool most, bool isUnsigned, std::span<const int64_t> values) {
  int64_t best = -1;
  for (size_t i = 0; i < values.size(); ++i) {
    if (best >= 0) {
      const int64_t a = values[i], b = values[static_cast<size_t>(best)];
      const bool less = isUnsigned ? static_cast<uint64_t>(a) < static_cast<uint64_t>(b) : a < b;
      if (a == b || less == most) continue;
    }
    best = static_cast<int64_t>(i);
  }
  return best;
}

static void reduceRow(ReduceKind kind, const TensorView& x, int64_t base,
                      std::span<const int64_t> offsets, const TensorView& y, int64_t out) {
  const bool extreme = kind == ReduceKind::Max || kind == ReduceKind::Min;
  if (extreme && offsets.empty())
    return kind == ReduceKind::Max ? storeLowest(y, out) : storeHighest(y, out);
  const bool exact = extreme || kind == ReduceKind::Sum || kind == ReduceKind::Prod ||
                     kind == ReduceKind::L1 || kind == ReduceKind::SumSquare;
  if (!isFloat(x.dtype) && exact) {
    std::vector<int64_t> values;
    for (int64_t offset : offsets) values.push_back(x.loadInt(base + offset));
    if (!extreme) return y.storeInt(out, static_cast<int64_t>(reduceInts(kind, values)));
    const int64_t best = extremeInt(kind == ReduceKind::Max, !isSigned(x.dtype), values);
    return y.storeInt(out, values[static_cast<size_t>(best)]);
  }
  std::vector<double> values;
  for (int64_t offset : offsets) values.push_back(x.loadDouble(base + offset));
  y.storeDouble(out, reduceDoubles(kind, values));
}

static void reference(const Reduce& reduce, const ReferenceContext& context) {
  const TensorView& x = context.in(0);
  const std::vector<int64_t> strides = rowMajorStrides(x.dims);
  std::vector<int64_t> keptDims, keptStrides, rowDims, rowStrides, offsets;
  for (size_t axis = 0; axis < x.dims.size(); ++axis) {
    const bool reduced = std::find(reduce.axes.begin(), reduce.axes.end(),
                                   static_cast<int64_t>(axis)) != reduce.axes.end();
    (reduced ? rowDims : keptDims).push_back(x.dims[axis]);
    (reduced ? rowStrides : keptStrides).push_back(strides[axis]);
  }
  forEachIndex(rowDims,
               [&](std::span<const int64_t> at) { offsets.push_back(offsetOf(at, rowStrides)); });
  int64_t out = 0;
  forEachIndex(keptDims, [&](std::span<const int64_t> at) {
    reduceRow(reduce.kind, x, offsetOf(at, keptStrides), offsets, context.out(0), out++);
  });
}

// Contents of a whole small tensor reduced to one value; of more axes nothing computes shapes.
static void inferContents(const Reduce& reduce, InferContext& context) {
  auto contents = context.contentsOf(0);
  if (!contents || contents->empty() || reduce.axes.size() != context.rank(0)) return;
  Dim value = contents->front();
  for (size_t i = 1; i < contents->size(); ++i) {
    const Dim& next = (*contents)[i];
    switch (reduce.kind) {
      case ReduceKind::Sum:
        value = value + next;
        break;
      case ReduceKind::Prod:
        value = value * next;
        break;
      case ReduceKind::Max:
        value = max(value, next);
        break;
      case ReduceKind::Min:
        value = min(value, next);
        break;
      default:
        return;
    }
  }
  if (contents->size() > 1 || reduce.kind <= ReduceKind::Prod)
    setContents(context, 0, {std::move(value)});
}

static void infer(const Reduce& reduce, InferContext& context) {
  const Shape& x = context.shape(0);
  const DType dtype = context.dtype(0);
  const bool extreme = reduce.kind == ReduceKind::Max || reduce.kind == ReduceKind::Min;
  context.require(isFloat(dtype) || isInteger(dtype) || (extreme && dtype == DType::Bool),
                  std::string(dtypeName(dtype)), "a real type");
  int64_t before = -1;
  for (int64_t axis : reduce.axes) {
    context.require(axis > before && axis < static_cast<int64_t>(x.rank()),
                    fmt::format("axes {}", fieldToString(reduce.axes)),
                    fmt::format("axes of {} in ascending order", x.toString()));
    before = axis;
  }
  Shape out;
  for (size_t axis = 0; axis < x.rank(); ++axis) {
    const bool reduced = std::find(reduce.axes.begin(), reduce.axes.end(),
                                   static_cast<int64_t>(axis)) != reduce.axes.end();
    if (!reduced)
      out.push(x[axis]);
    else if (reduce.keepDims)
      out.push(1);
  }
  context.setOutput(0, dtype, std::move(out));
  inferContents(reduce, context);
}

static Cost cost(const Reduce& reduce, const CostContext& context) {
  const auto count = static_cast<double>(elementCount(context.inputs[0].shape.concrete()));
  const bool exponential = reduce.kind == ReduceKind::LogSumExp;
  const bool one = reduce.kind <= ReduceKind::Prod;
  return {.flops = count * (one ? 1 : exponential ? 3 : 2), .bytes = context.allBytes()};
}

template <ReduceKind kKind>
static void importReduce(OnnxNode& node) {
  const OnnxNode::Ref x = node.requireInput(0);
  const size_t rank = node.rankOf(x);
  std::vector<int64_t> axes = importAxes(node, 1, "axes", rank).value_or(std::vector<int64_t>{});
  if (axes.empty() && node.attributeInt("noop_with_empty_axes", 0) == 0) {
    axes.resize(rank);
    std::iota(axes.begin(), axes.end(), 0);
  }
  std::sort(axes.begin(), axes.end());
  const bool keepDims = node.attributeInt("keepdims", 1) != 0;
  node.setOutput(0, node.emit(Operator::of(Reduce{kKind, std::move(axes), keepDims}), {x}));
}

template <ReduceKind kKind>
static void importGlobalPool(OnnxNode& node) {
  const OnnxNode::Ref x = node.requireInput(0);
  const size_t rank = node.rankOf(x);
  if (rank < 3)
    throw Error(ErrorCode::InvalidModel,
                fmt::format("input of shape {}", node.shapeOf(x).toString()),
                "[N, C] and at least one spatial dim");
  std::vector<int64_t> axes(rank - 2);
  std::iota(axes.begin(), axes.end(), 2);
  node.setOutput(0, node.emit(Operator::of(Reduce{kKind, std::move(axes), true}), {x}));
}

template <>
const OpDef& definitionOf<Reduce>() {
  static const OpDef kRow = defineOperator<Reduce>(
      "Reduce", Access::Reduce,
      {{"", "ReduceSum", 1, 0, importReduce<ReduceKind::Sum>},
       {"", "ReduceMean", 1, 0, importReduce<ReduceKind::Mean>},
       {"", "ReduceMax", 1, 0, importReduce<ReduceKind::Max>},
       {"", "ReduceMin", 1, 0, importReduce<ReduceKind::Min>},
       {"", "ReduceProd", 1, 0, importReduce<ReduceKind::Prod>},
       {"", "ReduceL1", 1, 0, importReduce<ReduceKind::L1>},
       {"", "ReduceL2", 1, 0, importReduce<ReduceKind::L2>},
       {"", "ReduceSumSquare", 1, 0, importReduce<ReduceKind::SumSquare>},
       {"", "ReduceLogSum", 1, 0, importReduce<ReduceKind::LogSum>},
       {"", "ReduceLogSumExp", 1, 0, importReduce<ReduceKind::LogSumExp>},
       {"", "GlobalAveragePool", 1, 0, importGlobalPool<ReduceKind::Mean>},
       {"", "GlobalMaxPool", 1, 0, importGlobalPool<ReduceKind::Max>},
       {"", "GlobalLpPool", 1, 0, importGlobalLpPool},
       {"", "LpNormalization", 1, 0, importLpNormalization},
       {"", "MeanVarianceNormalization", 9, 0, importMeanVarianceNormalization}});
  return kRow;
}

}  // namespace carnot
