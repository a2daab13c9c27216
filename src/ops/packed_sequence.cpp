#include "ops/packed_sequence.h"

#include "base/error.h"
#include "ops/elements.h"

namespace carnot {

namespace {

constexpr int64_t kNothing[] = {0};

[[noreturn]] void damaged(std::string has, std::string needs) {
  throw Error(ErrorCode::InvalidArgument, "a sequence of " + std::move(has), std::move(needs),
              "pack its tensors again");
}

}  // namespace

PackedSequence::PackedSequence(const TensorView& all, const TensorView& dims,
                               const TensorView& ranks)
    : elements(all) {
  // Nothing may lie nowhere.
  auto listed = [](const TensorView& view) {
    return view.data ? loadInts(view) : std::vector<int64_t>();
  };
  const std::vector<int64_t> extents = listed(dims), counts = listed(ranks);
  if (!elements.data) elements.dims = kNothing;
  size_t at = 0;
  int64_t offset = 0;
  for (int64_t rank : counts) {
    if (rank < 0 || static_cast<size_t>(rank) > extents.size() - at)
      damaged(fmt::format("{} dims for a tensor of rank {}", extents.size() - at, rank),
              "as many dims as the ranks say");
    Item item;
    item.dims.assign(extents.begin() + static_cast<ptrdiff_t>(at),
                     extents.begin() + static_cast<ptrdiff_t>(at) + rank);
    at += static_cast<size_t>(rank);
    for (int64_t dim : item.dims)
      if (dim < 0) damaged(fmt::format("a dim of {}", dim), "0 or more");
    item.offset = offset;
    item.count = elementCount(item.dims);
    if (item.count > elements.count() - offset)
      damaged(fmt::format("{} elements", elements.count()), "as many as the dims say");
    offset += item.count;
    items.push_back(std::move(item));
  }
  if (at != extents.size() || offset != elements.count())
    damaged(fmt::format("{} elements and {} dims", elements.count(), extents.size()),
            fmt::format("{} and {}, as its ranks and dims say", offset, at));
}

size_t PackedSequence::place(const TensorView& position, int64_t beyond) const {
  const int64_t given = position.loadInt(0);
  const auto size = static_cast<int64_t>(items.size());
  if (given < -size || given >= size + beyond)
    throw Error(ErrorCode::InvalidArgument,
                fmt::format("position {} in a sequence of {}", given, size),
                fmt::format("{} to {}", -size, size - 1 + beyond));
  return static_cast<size_t>(given < 0 ? given + size : given);
}

TensorView allocatePacked(const ReferenceContext& context,
                          const std::vector<std::vector<int64_t>>& dims) {
  int64_t elements = 0, all = 0;
  for (const std::vector<int64_t>& each : dims) {
    elements += elementCount(each);
    all += static_cast<int64_t>(each.size());
  }
  TensorView made = context.allocate(0, {elements});
  const TensorView extents = context.allocate(1, {all});
  const TensorView ranks = context.allocate(2, {static_cast<int64_t>(dims.size())});
  int64_t next = 0, number = 0;
  for (const std::vector<int64_t>& each : dims) {
    for (int64_t dim : each) extents.storeInt(next++, dim);
    ranks.storeInt(number++, static_cast<int64_t>(each.size()));
  }
  return made;
}

void inferPacked(InferContext& context, DType dtype) {
  context.setOutput(0, dtype, {context.freshSymbol("elements", Dim(Dim::kLargest))});
  context.setOutput(1, DType::I64, {context.freshSymbol("dims", Dim(Dim::kLargest))});
  context.setOutput(2, DType::I64, {context.freshSymbol("length", Dim(Dim::kLargest))});
}

}  // namespace carnot
