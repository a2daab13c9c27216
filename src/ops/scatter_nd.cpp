#include "ops/scatter_nd.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/error.h"
#include "ops/contents.h"
#include "ops/define.h"
#include "ops/elements.h"
#include "ops/scatter.h"

namespace carnot {

static double combine(ScatterReduction reduction, double a, double b) {
  switch (reduction) {
    case ScatterReduction::Add:
      return a + b;
    case ScatterReduction::Mul:
      return a * b;
    case ScatterReduction::Max:
      return std::isnan(a) || a > b ? a : b;
    case ScatterReduction::Min:
      return std::isnan(a) || a < b ? a : b;
    case ScatterReduction::None:
      break;
  }
  return b;
}

static int64_t combine(ScatterReduction reduction, int64_t a, int64_t b, bool isSigned) {
  const auto x = static_cast<uint64_t>(a), y = static_cast<uint64_t>(b);
  const bool less = isSigned ? a < b : x < y;
  switch (reduction) {
    case ScatterReduction::Add:
      return static_cast<int64_t>(x + y);
    case ScatterReduction::Mul:
      return static_cast<int64_t>(x * y);
    case ScatterReduction::Max:
      return less ? b : a;
    case ScatterReduction::Min:
      return less ? a : b;
    case ScatterReduction::None:
      break;
  }
  return b;
}

void scatterElement(ScatterReduction reduction, const TensorView& updates, int64_t i,
                    const TensorView& to, int64_t j) {
  if (reduction == ScatterReduction::None) return copyElement(updates, i, to, j);
  if (isFloat(to.dtype))
    to.storeDouble(j, combine(reduction, to.loadDouble(j), updates.loadDouble(i)));
  else
    to.storeInt(j, combine(reduction, to.loadInt(j), updates.loadInt(i), isSigned(to.dtype)));
}

void copyTensor(const TensorView& from, const TensorView& to) {
  if (size_t bytes = from.bytes(); bytes != 0) std::memcpy(to.data, from.data, bytes);
}

ScatterReduction importReduction(const OnnxNode& node) {
  const std::string name = node.attributeString("reduction", "none");
  if (name == "none") return ScatterReduction::None;
  if (name == "add") return ScatterReduction::Add;
  if (name == "mul") return ScatterReduction::Mul;
  if (name == "max") return ScatterReduction::Max;
  if (name == "min") return ScatterReduction::Min;
  throw Error(ErrorCode::InvalidModel, fmt::format("reduction \"{}\"", name),
              "none, add, mul, max or min");
}

static void reference(const ScatterNd& scatter, const ReferenceContext& context) {
  const TensorView &x = context.in(0), &indices = context.in(1), &y = context.out(0);
  const auto depth = static_cast<size_t>(indices.dims.back());
  const std::vector<int64_t> strides = rowMajorStrides(x.dims);
  const int64_t inner = elementCount(x.dims.subspan(depth));
  const int64_t tuples = elementCount(indices.dims.first(indices.dims.size() - 1));
  copyTensor(x, y);
  for (int64_t tuple = 0; tuple < tuples; ++tuple) {
    int64_t to = 0;
    for (size_t axis = 0; axis < depth; ++axis)
      to += strides[axis] * wrapIndex(indices.loadInt(tuple * static_cast<int64_t>(depth) +
                                                      static_cast<int64_t>(axis)),
                                      x.dims[axis]);
    for (int64_t i = 0; i < inner; ++i)
      scatterElement(scatter.reduction, context.in(2), tuple * inner + i, y, to + i);
  }
}

static void infer(const ScatterNd& scatter, InferContext& context) {
  const Shape &x = context.shape(0), &indices = context.shape(1), &updates = context.shape(2);
  context.requireSameDType(0, 2);
  context.require(isInteger(context.dtype(1)),
                  fmt::format("indices of type {}", dtypeName(context.dtype(1))), "integers");
  context.require(indices.rank() >= 1, "a scalar of indices", "coordinates");
  if (!indices[indices.rank() - 1].isConstant())
    throw Error(ErrorCode::Unsupported, fmt::format("coordinates of {}", indices.toString()),
                "a constant last dim");
  const int64_t depth = indices[indices.rank() - 1].constant();
  context.require(depth <= static_cast<int64_t>(x.rank()),
                  fmt::format("coordinates of {} into {}", indices.toString(), x.toString()),
                  "no more of them than the axes");
  std::vector<Dim> expected(indices.begin(), indices.end() - 1);
  expected.insert(expected.end(), x.begin() + depth, x.end());
  context.require(updates.rank() == expected.size(), fmt::format("updates {}", updates.toString()),
                  Shape(expected).toString());
  for (size_t axis = 0; axis < expected.size(); ++axis)
    context.requireEqual(updates[axis], expected[axis],
                         fmt::format("axis {} of the updates", axis));
  context.setOutput(0, context.dtype(0), x);
  if (scatter.reduction == ScatterReduction::None)
    moveContents(context, {0, 2}, [&](const ReferenceContext& run) { reference(scatter, run); });
}

static Cost cost(const ScatterNd& scatter, const CostContext& context) {
  const auto updates = static_cast<double>(elementCount(context.inputs[2].shape.concrete()));
  return {.flops = scatter.reduction == ScatterReduction::None ? 0 : updates,
          .bytes = context.allBytes()};
}

static void importScatterNd(OnnxNode& node) {
  const ScatterNd scatter{importReduction(node)};
  node.setOutput(0, node.emit(Operator::of(scatter),
                              {node.requireInput(0), node.requireInput(1), node.requireInput(2)}));
}

template <>
const OpDef& definitionOf<ScatterNd>() {
  static const OpDef kRow = defineOperator<ScatterNd>("ScatterNd", Access::Opaque,
                                                      {{"", "ScatterND", 11, 0, importScatterNd}});
  return kRow;
}

}  // namespace carnot
