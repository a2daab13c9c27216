#include <algorithm>

#include "ops/concat.h"
#include "ops/pad.h"
#include "ops/reformat.h"
#include "ops/region.h"

namespace carnot {
namespace {

bool isFirstAlone(const Shape& shape, const std::string& symbol) {
  if (shape.rank() == 0 || shape[0].asSymbol() != symbol) return false;
  std::vector<std::string> names;
  for (size_t axis = 1; axis < shape.rank(); ++axis) shape[axis].collectSymbols(names);
  return !std::ranges::count(names, symbol);
}

bool mentions(const Shape& shape, const std::string& symbol) {
  std::vector<std::string> names;
  for (const Dim& dim : shape.dims()) dim.collectSymbols(names);
  return std::ranges::count(names, symbol) > 0;
}

}  // namespace

bool keepsImagesApart(const Region& region, std::span<const TensorType> types,
                      const std::string& batch) {
  if (!region.updates().empty() || !(region.substitute({{batch, Dim(1)}}) == region)) return false;
  for (const Region::Step& step : region.steps) {
    // A pool's second output counts elements through all images.
    if (step.outputCount != 1 || !step.op.definition().deterministic) return false;
    const Shape& result = types[static_cast<size_t>(step.firstOutput)].shape;
    if (!isFirstAlone(result, batch)) return false;
    const Access access = step.op.definition().access;
    const bool reduces = access == Access::Reduce && step.inputs.size() == 1;
    const bool joins = step.op.is<Concat>();
    if (!reduces && !joins && access != Access::Pointwise && access != Access::Window &&
        !step.op.is<Pad>() && !step.op.is<Reformat>())
      return false;
    for (int input : step.inputs) {
      if (input < 0) continue;
      const Shape& shape = types[static_cast<size_t>(input)].shape;
      if (!mentions(shape, batch) && !joins) continue;
      // An input of lower rank has the result's images along none of its axes.
      if (!isFirstAlone(shape, batch) || (!reduces && shape.rank() != result.rank())) return false;
      if (reduces && shape == result) return false;  // along which axis, nothing tells
    }
  }
  return true;
}

}  // namespace carnot
