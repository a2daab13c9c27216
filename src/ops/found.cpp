#include "ops/found.h"

#include "base/error.h"

namespace carnot {

void inferFound(InferContext& context, const std::vector<int64_t>& types,
                const std::vector<int64_t>& ranks, const std::vector<int64_t>& dims) {
  const size_t count = context.outputs.size();
  context.require(types.size() == count && ranks.size() == count,
                  fmt::format("{} types and {} ranks", types.size(), ranks.size()),
                  fmt::format("one for each of {} outputs", count));
  size_t next = 0;
  for (size_t i = 0; i < count; ++i) {
    context.require(types[i] >= 0 && types[i] < static_cast<int64_t>(kDTypeCount),
                    fmt::format("type {}", types[i]), "an element type");
    context.require(ranks[i] >= 0 && static_cast<size_t>(ranks[i]) <= dims.size() - next,
                    fmt::format("rank {}", ranks[i]), "as many dims");
    Shape shape;
    for (int64_t axis = 0; axis < ranks[i]; ++axis) {
      const int64_t dim = dims[next++];
      if (dim >= 0)
        shape.push(dim);
      else
        shape.push(context.freshSymbol("found", Dim(Dim::kLargest)));
    }
    context.setOutput(i, static_cast<DType>(types[i]), std::move(shape));
  }
  context.require(next == dims.size(), fmt::format("{} dims", dims.size()),
                  fmt::format("{}, as the ranks say", next));
}

}  // namespace carnot
