#include "ops/batch_norm.h"

#include <cmath>

#include "ops/define.h"
#include "ops/elements.h"
#include "ops/norms.h"
#include "ops/onnx_batch_norm.h"

namespace carnot {

static void infer(const BatchNorm&, InferContext& context) { inferChannelNorm(context, 4); }

static void reference(const BatchNorm& norm, const ReferenceContext& context) {
  const TensorView &x = context.in(0), &y = context.out(0);
  const int64_t channels = x.dims[1], inner = elementCount(x.dims.subspan(2));
  for (int64_t i = 0; i < x.count(); ++i) {
    const int64_t c = i / inner % channels;
    auto parameter = [&](size_t input) { return context.in(input).loadDouble(c); };
    const double factor = parameter(1) / std::sqrt(parameter(4) + norm.epsilon);
    y.storeDouble(i, (x.loadDouble(i) - parameter(3)) * factor + parameter(2));
  }
}

// Folded into one multiply-add.
static Cost cost(const BatchNorm&, const CostContext& context) {
  return {.flops = 2 * context.elements(), .bytes = context.allBytes()};
}

template <>
const OpDef& definitionOf<BatchNorm>() {
  static const OpDef kRow = defineOperator<BatchNorm>(
      "BatchNorm", Access::Opaque, {{"", "BatchNormalization", 1, 0, importBatchNormalization}});
  return kRow;
}

}  // namespace carnot
