#include "ops/gather_nd.h"

#include <algorithm>

#include "base/error.h"
#include "ops/contents.h"
#include "ops/define.h"
#include "ops/elements.h"
#include "ops/onnx_node.h"

namespace carnot {

static void reference(const GatherNd& gather, const ReferenceContext& context) {
  const TensorView &x = context.in(0), &indices = context.in(1), &y = context.out(0);
  const auto batchDims = static_cast<size_t>(gather.batchDims);
  const std::vector<int64_t> strides = rowMajorStrides(x.dims);
  const int64_t depth = indices.dims.back();
  const int64_t batch = elementCount(x.dims.first(batchDims));
  const int64_t inner = elementCount(x.dims.subspan(batchDims + static_cast<size_t>(depth)));
  const int64_t batchSize = elementCount(x.dims.subspan(batchDims));
  const int64_t tuples = elementCount(indices.dims.first(indices.dims.size() - 1));
  const int64_t perBatch = tuples / std::max<int64_t>(batch, 1);
  for (int64_t tuple = 0; tuple < tuples; ++tuple) {
    int64_t from = tuple / perBatch * batchSize;
    for (int64_t i = 0; i < depth; ++i) {
      const size_t axis = batchDims + static_cast<size_t>(i);
      from += wrapIndex(indices.loadInt(tuple * depth + i), x.dims[axis]) * strides[axis];
    }
    for (int64_t i = 0; i < inner; ++i) copyElement(x, from + i, y, tuple * inner + i);
  }
}

static void infer(const GatherNd& gather, InferContext& context) {
  const Shape &x = context.shape(0), &indices = context.shape(1);
  const auto batchDims = static_cast<size_t>(gather.batchDims);
  context.require(
      gather.batchDims >= 0 && batchDims < indices.rank() && batchDims < x.rank(),
      fmt::format("{} batch dims of {} and {}", gather.batchDims, x.toString(), indices.toString()),
      "fewer than either has");
  context.require(isInteger(context.dtype(1)),
                  fmt::format("indices of type {}", dtypeName(context.dtype(1))), "integers");
  auto depth = indices[indices.rank() - 1].tryConstant();
  if (!depth)
    throw Error(ErrorCode::Unsupported, fmt::format("coordinates of {}", indices.toString()),
                "a constant last dim");
  context.require(batchDims + static_cast<size_t>(*depth) <= x.rank(),
                  fmt::format("coordinates of {} into {}", indices.toString(), x.toString()),
                  "no more of them than the axes");
  for (size_t axis = 0; axis < batchDims; ++axis)
    context.requireEqual(x[axis], indices[axis], fmt::format("batch dim {}", axis));
  Shape out;
  for (size_t axis = 0; axis + 1 < indices.rank(); ++axis) out.push(indices[axis]);
  for (size_t axis = batchDims + static_cast<size_t>(*depth); axis < x.rank(); ++axis)
    out.push(x[axis]);
  context.setOutput(0, context.dtype(0), std::move(out));
  moveContents(context, {0}, [&](const ReferenceContext& run) { reference(gather, run); });
}

static Cost cost(const GatherNd&, const CostContext& context) {
  return {.flops = 0, .bytes = context.allBytes()};
}

static void importGatherNd(OnnxNode& node) {
  const GatherNd gather{node.attributeInt("batch_dims", 0)};
  node.setOutput(0, node.emit(Operator::of(gather), {node.requireInput(0), node.requireInput(1)}));
}

template <>
const OpDef& definitionOf<GatherNd>() {
  static const OpDef kRow = defineOperator<GatherNd>("GatherNd", Access::Permute,
                                                     {{"", "GatherND", 11, 0, importGatherNd}});
  return kRow;
}

}  // namespace carnot
