#include <algorithm>

#include "base/error.h"
#include "ops/define.h"
#include "ops/elements.h"
#include "ops/packed_sequence.h"
#include "ops/requirements.h"

namespace carnot {

static void infer(const SequenceSplit& split, InferContext& context) {
  requireAxis(context, split.axis);
  context.require(context.rank(1) <= 1, "extents of more than one dim", "a list, or one number");
  inferPacked(context, context.dtype(0));
}

// Of the parts.
static std::vector<int64_t> extentsOf(const TensorView& given, int64_t all) {
  std::vector<int64_t> extents = loadInts(given);
  if (given.dims.empty()) {
    const int64_t each = extents[0];
    if (each < 1)
      throw Error(ErrorCode::InvalidArgument, fmt::format("parts of {}", each), "1 or more");
    extents.clear();
    for (int64_t start = 0; start < all; start += each)
      extents.push_back(std::min(each, all - start));
    return extents;
  }
  int64_t left = all;
  for (int64_t extent : extents) {
    if (extent < 0 || extent > left)
      throw Error(ErrorCode::InvalidArgument, fmt::format("a part of {}", extent),
                  fmt::format("0 to {}, what is left of {}", left, all));
    left -= extent;
  }
  if (left != 0)
    throw Error(ErrorCode::InvalidArgument, fmt::format("parts of {} in all", all - left),
                fmt::format("{}, as long as the tensor", all));
  return extents;
}

static void reference(const SequenceSplit& split, const ReferenceContext& context) {
  const TensorView& x = context.in(0);
  const auto axis = static_cast<size_t>(split.axis);
  const AxisSplit whole = splitAt(x.dims, axis);
  const std::vector<int64_t> extents = extentsOf(context.in(1), whole.extent);
  std::vector<std::vector<int64_t>> dims;
  for (int64_t extent : extents) {
    dims.emplace_back(x.dims.begin(), x.dims.end());
    dims.back()[axis] = extent;
  }
  const TensorView y = allocatePacked(context, dims);
  int64_t to = 0, start = 0;
  for (int64_t extent : extents) {
    for (int64_t outer = 0; outer < whole.outer; ++outer)
      for (int64_t j = 0; j < extent * whole.inner; ++j)
        copyElement(x, (outer * whole.extent + start) * whole.inner + j, y, to++);
    start += extent;
  }
}

static Cost cost(const SequenceSplit&, const CostContext& context) {
  return {.flops = 0, .bytes = context.allBytes()};
}

template <>
const OpDef& definitionOf<SequenceSplit>() {
  static const OpDef kRow = defineOperator<SequenceSplit>("SequenceSplit", Access::Opaque, {});
  return kRow;
}

}  // namespace carnot
