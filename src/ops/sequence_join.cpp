#include "base/error.h"
#include "base/limits.h"
#include "ops/define.h"
#include "ops/elements.h"
#include "ops/packed_sequence.h"

namespace carnot {

static void infer(const SequenceJoin& join, InferContext& context) {
  context.require(
      join.axis >= 0 && join.axis < join.rank && join.rank <= static_cast<int64_t>(kMaxRank),
      fmt::format("axis {} of {}", join.axis, join.rank),
      fmt::format("an axis of a result of at most {} dims", kMaxRank));
  Shape shape;
  for (int64_t axis = 0; axis < join.rank; ++axis)
    shape.push(context.freshSymbol("joined", Dim(Dim::kLargest)));
  context.setOutput(0, context.dtype(0), std::move(shape));
}

static void reference(const SequenceJoin& join, const ReferenceContext& context) {
  const PackedSequence sequence(context.in(0), context.in(1), context.in(2));
  if (sequence.items.empty())
    throw Error(ErrorCode::InvalidArgument, "an empty sequence to put together",
                "one or more tensors");
  const auto axis = static_cast<size_t>(join.axis);
  std::vector<std::vector<int64_t>> parts;
  for (const PackedSequence::Item& item : sequence.items) {
    parts.push_back(item.dims);
    if (join.isNew && item.dims.size() >= axis)
      parts.back().insert(parts.back().begin() + join.axis, 1);
  }
  std::vector<int64_t> whole = parts[0];
  for (size_t i = 0; i < parts.size(); ++i) {
    bool fits = parts[i].size() == static_cast<size_t>(join.rank);
    for (size_t other = 0; fits && other < whole.size(); ++other)
      fits = other == axis || parts[i][other] == whole[other];
    if (!fits)
      throw Error(ErrorCode::InvalidArgument,
                  fmt::format("tensors {} and {} of a sequence, which do not fit along axis {}", 0,
                              i, axis),
                  fmt::format("{} dims each, the same but along that axis",
                              join.rank - (join.isNew ? 1 : 0)));
    if (i > 0) whole[axis] += parts[i][axis];
  }
  const TensorView y = context.allocate(0, whole);
  const AxisSplit split = splitAt(whole, axis);
  int64_t start = 0;
  for (size_t i = 0; i < parts.size(); ++i) {
    const int64_t run = parts[i][axis] * split.inner;
    for (int64_t outer = 0; outer < split.outer; ++outer)
      for (int64_t j = 0; j < run; ++j)
        copyElement(sequence.elements, sequence.items[i].offset + outer * run + j, y,
                    (outer * split.extent + start) * split.inner + j);
    start += parts[i][axis];
  }
}

static Cost cost(const SequenceJoin&, const CostContext& context) {
  return {.flops = 0, .bytes = context.allBytes()};
}

template <>
const OpDef& definitionOf<SequenceJoin>() {
  static const OpDef kRow = defineOperator<SequenceJoin>("SequenceJoin", Access::Opaque, {});
  return kRow;
}

}  // namespace carnot
