#include "ops/reverse_sequence.h"

#include "base/error.h"
#include "ops/define.h"
#include "ops/elements.h"
#include "ops/onnx_axes.h"

namespace carnot {

static void infer(const ReverseSequence& op, InferContext& context) {
  const Shape& x = context.shape(0);
  const auto rank = static_cast<int64_t>(x.rank());
  context.require(op.batchAxis >= 0 && op.batchAxis < rank && op.timeAxis >= 0 &&
                      op.timeAxis < rank && op.batchAxis != op.timeAxis,
                  fmt::format("batch axis {} and time axis {}", op.batchAxis, op.timeAxis),
                  fmt::format("two axes of {}", x.toString()));
  context.require(context.dtype(1) == DType::I64 && context.rank(1) == 1,
                  fmt::format("lengths of type {}", context.type(1).toString()), "a list of int64");
  context.requireEqual(context.shape(1)[0], x[static_cast<size_t>(op.batchAxis)],
                       "lengths and batch");
  context.setOutput(0, context.dtype(0), x);
}

static void reference(const ReverseSequence& op, const ReferenceContext& context) {
  const TensorView &x = context.in(0), &y = context.out(0);
  const auto batch = static_cast<size_t>(op.batchAxis), time = static_cast<size_t>(op.timeAxis);
  const std::vector<int64_t> strides = rowMajorStrides(x.dims);
  int64_t out = 0;
  forEachIndex(x.dims, [&](std::span<const int64_t> at) {
    const int64_t length = context.in(1).loadInt(at[batch]);
    if (length < 0 || length > x.dims[time])
      throw Error(ErrorCode::InvalidArgument, fmt::format("a sequence of length {}", length),
                  fmt::format("at most {}", x.dims[time]));
    const int64_t from = at[time] < length ? length - 1 - at[time] : at[time];
    copyElement(x, out + (from - at[time]) * strides[time], y, out);
    ++out;
  });
}

static Cost cost(const ReverseSequence&, const CostContext& context) {
  return {.flops = 0, .bytes = context.allBytes()};
}

static void importReverseSequence(OnnxNode& node) {
  const OnnxNode::Ref x = node.requireInput(0);
  const size_t rank = node.rankOf(x);
  const ReverseSequence op{.batchAxis = importAxis(node, "batch_axis", 1, rank),
                           .timeAxis = importAxis(node, "time_axis", 0, rank)};
  node.setOutput(0, node.emit(Operator::of(op), {x, node.requireInput(1)}));
}

template <>
const OpDef& definitionOf<ReverseSequence>() {
  static const OpDef kRow = defineOperator<ReverseSequence>(
      "ReverseSequence", Access::Permute, {{"", "ReverseSequence", 10, 0, importReverseSequence}});
  return kRow;
}

}  // namespace carnot
