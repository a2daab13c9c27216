#include "ops/layer_norm.h"

#include <cmath>

#include "ops/define.h"
#include "ops/elements.h"
#include "ops/norms.h"
#include "ops/onnx_layer_norm.h"

namespace carnot {

static void infer(const LayerNorm& norm, InferContext& context) {
  inferRowNorm(context, norm.axis);
}

static void reference(const LayerNorm& norm, const ReferenceContext& context) {
  const TensorView &x = context.in(0), &y = context.out(0);
  const auto row =
      static_cast<size_t>(elementCount(x.dims.subspan(static_cast<size_t>(norm.axis))));
  const std::vector<double> values = loadDoubles(x), scale = loadBroadcast(context.in(1), x.dims);
  std::vector<double> bias(values.size(), 0.0);
  if (context.has(2)) bias = loadBroadcast(context.in(2), x.dims);
  for (size_t start = 0; start < values.size(); start += row) {
    const Moments moments = momentsOf(std::span(values).subspan(start, row));
    const double factor = 1 / std::sqrt(moments.variance + norm.epsilon);
    for (size_t i = start; i < start + row; ++i)
      y.storeDouble(static_cast<int64_t>(i),
                    (values[i] - moments.mean) * factor * scale[i] + bias[i]);
  }
}

static Cost cost(const LayerNorm&, const CostContext& context) {
  return {.flops = 8 * context.elements(), .bytes = context.allBytes()};
}

template <>
const OpDef& definitionOf<LayerNorm>() {
  static const OpDef kRow = defineOperator<LayerNorm>(
      "LayerNorm", Access::Reduce, {{"", "LayerNormalization", 1, 0, importLayerNormalization}});
  return kRow;
}

}  // namespace carnot
