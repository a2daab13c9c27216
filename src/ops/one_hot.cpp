#include "ops/one_hot.h"

#include "base/error.h"
#include "ops/define.h"
#include "ops/elements.h"
#include "ops/onnx_one_hot.h"
#include "ops/requirements.h"

namespace carnot {

static void infer(const OneHot& hot, InferContext& context) {
  const Shape& indices = context.shape(0);
  requireReal(context, 0);
  requireDims(context, hot.depth);
  context.require(hot.axis >= 0 && hot.axis <= static_cast<int64_t>(indices.rank()),
                  fmt::format("axis {}", hot.axis),
                  fmt::format("a place among {}", indices.toString()));
  context.require(hot.depth.rank() == 1, fmt::format("depth {}", hot.depth.toString()), "one Dim");
  context.require(context.rank(1) == 1, fmt::format("values of rank {}", context.rank(1)), "[2]");
  context.requireEqual(context.shape(1)[0], Dim(2), "values, off and on, and 2");
  std::vector<Dim> dims = indices.dims();
  dims.insert(dims.begin() + hot.axis, hot.depth[0]);
  context.setOutput(0, context.dtype(1), Shape(std::move(dims)));
}

static void reference(const OneHot& hot, const ReferenceContext& context) {
  const TensorView &indices = context.in(0), &y = context.out(0);
  const AxisSplit split = splitAt(y.dims, static_cast<size_t>(hot.axis));
  for (int64_t outer = 0; outer < split.outer; ++outer) {
    for (int64_t inner = 0; inner < split.inner; ++inner) {
      const int64_t at = outer * split.inner + inner;
      double index = indices.loadDouble(at);
      if (index < 0) index += static_cast<double>(split.extent);
      for (int64_t i = 0; i < split.extent; ++i)
        copyElement(context.in(1), index == static_cast<double>(i) ? 1 : 0, y,
                    (outer * split.extent + i) * split.inner + inner);
    }
  }
}

static Cost cost(const OneHot&, const CostContext& context) {
  return {.flops = 0, .bytes = context.allBytes()};
}

template <>
const OpDef& definitionOf<OneHot>() {
  static const OpDef kRow = defineOperator<OneHot>(
      "OneHot", Access::Opaque,
      {{"", "OneHot", 9, 0, importOneHot}, {"", "Hardmax", 1, 0, importHardmax}});
  return kRow;
}

}  // namespace carnot
