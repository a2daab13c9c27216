#include "base/error.h"
#include "ops/define.h"
#include "ops/elements.h"
#include "ops/packed_sequence.h"

namespace carnot {

static size_t insertedInput(const SequenceSplice& splice) { return splice.positioned ? 4 : 3; }

static void infer(const SequenceSplice& splice, InferContext& context) {
  if (splice.inserts) context.requireSameDType(0, insertedInput(splice));
  inferPacked(context, context.dtype(0));
}

static void reference(const SequenceSplice& splice, const ReferenceContext& context) {
  const PackedSequence sequence(context.in(0), context.in(1), context.in(2));
  const bool inserts = splice.inserts;
  const TensorView inserted = inserts ? context.in(insertedInput(splice)) : TensorView{};
  size_t place = sequence.items.size() - (inserts ? 0 : 1);
  if (splice.positioned)
    place = sequence.place(context.in(3), inserts ? 1 : 0);
  else if (!inserts && sequence.items.empty())
    throw Error(ErrorCode::InvalidArgument, "an empty sequence to take the last tensor of",
                "one or more tensors");

  std::vector<std::vector<int64_t>> dims;
  for (size_t i = 0; i <= sequence.items.size(); ++i) {
    if (inserts && i == place) dims.emplace_back(inserted.dims.begin(), inserted.dims.end());
    if (i < sequence.items.size() && (inserts || i != place))
      dims.push_back(sequence.items[i].dims);
  }
  const TensorView y = allocatePacked(context, dims);
  int64_t to = 0;
  auto copy = [&](const TensorView& from, int64_t first, int64_t count) {
    for (int64_t i = 0; i < count; ++i) copyElement(from, first + i, y, to++);
  };
  for (size_t i = 0; i <= sequence.items.size(); ++i) {
    if (inserts && i == place) copy(inserted, 0, inserted.count());
    if (i < sequence.items.size() && (inserts || i != place))
      copy(sequence.elements, sequence.items[i].offset, sequence.items[i].count);
  }
}

static Cost cost(const SequenceSplice&, const CostContext& context) {
  return {.flops = 0, .bytes = context.allBytes()};
}

template <>
const OpDef& definitionOf<SequenceSplice>() {
  static const OpDef kRow = defineOperator<SequenceSplice>("SequenceSplice", Access::Opaque, {});
  return kRow;
}

}  // namespace carnot
