#include "base/error.h"
#include "base/limits.h"
#include "ops/define.h"
#include "ops/elements.h"
#include "ops/packed_sequence.h"

namespace carnot {

static void infer(const SequenceAt& at, InferContext& context) {
  context.require(at.rank >= 0 && at.rank <= static_cast<int64_t>(kMaxRank),
                  fmt::format("rank {}", at.rank), fmt::format("0 to {}", kMaxRank));
  Shape shape;
  for (int64_t axis = 0; axis < at.rank; ++axis)
    shape.push(context.freshSymbol("item", Dim(Dim::kLargest)));
  context.setOutput(0, context.dtype(0), std::move(shape));
}

static void reference(const SequenceAt& at, const ReferenceContext& context) {
  const PackedSequence sequence(context.in(0), context.in(1), context.in(2));
  const PackedSequence::Item& item = sequence.items[sequence.place(context.in(3))];
  if (static_cast<int64_t>(item.dims.size()) != at.rank)
    throw Error(ErrorCode::InvalidArgument,
                fmt::format("a tensor of {} dims in the sequence", item.dims.size()),
                fmt::format("{} dims, as the model says", at.rank));
  const TensorView y = at.rank == 0 ? context.out(0) : context.allocate(0, item.dims);
  for (int64_t i = 0; i < item.count; ++i) copyElement(sequence.elements, item.offset + i, y, i);
}

static Cost cost(const SequenceAt&, const CostContext& context) {
  return {.flops = 0, .bytes = context.allBytes()};
}

template <>
const OpDef& definitionOf<SequenceAt>() {
  static const OpDef kRow = defineOperator<SequenceAt>("SequenceAt", Access::Opaque, {});
  return kRow;
}

}  // namespace carnot
