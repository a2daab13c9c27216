#include "ops/rms_norm.h"

#include <cmath>

#include "ops/define.h"
#include "ops/elements.h"
#include "ops/norms.h"
#include "ops/onnx_axes.h"

namespace carnot {

static void infer(const RmsNorm& norm, InferContext& context) { inferRowNorm(context, norm.axis); }

static void reference(const RmsNorm& norm, const ReferenceContext& context) {
  const TensorView &x = context.in(0), &y = context.out(0);
  const auto row =
      static_cast<size_t>(elementCount(x.dims.subspan(static_cast<size_t>(norm.axis))));
  const std::vector<double> values = loadDoubles(x), scale = loadBroadcast(context.in(1), x.dims);
  for (size_t start = 0; start < values.size(); start += row) {
    double mean = 0;
    for (size_t i = start; i < start + row; ++i)
      mean += values[i] * values[i] / static_cast<double>(row);
    const double factor = 1 / std::sqrt(mean + norm.epsilon);
    for (size_t i = start; i < start + row; ++i)
      y.storeDouble(static_cast<int64_t>(i), values[i] * factor * scale[i]);
  }
}

static Cost cost(const RmsNorm&, const CostContext& context) {
  return {.flops = 4 * context.elements(), .bytes = context.allBytes()};
}

// The result has the scale's type. Where that is another than the input's, both take part in one
// that holds them.
static void importRmsNormalization(OnnxNode& node) {
  OnnxNode::Ref x = node.requireInput(0), scale = node.requireInput(1);
  const DType to = node.dtypeOf(scale), common = commonFloat(node.dtypeOf(x), to);
  x = emitCast(node, x, common);
  scale = emitCast(node, scale, common);
  const RmsNorm norm{.axis = importAxis(node, "axis", -1, node.rankOf(x)),
                     .epsilon = node.attributeFloat("epsilon", 1e-5)};
  node.setOutput(0, emitCast(node, node.emit(Operator::of(norm), {x, scale}), to));
}

template <>
const OpDef& definitionOf<RmsNorm>() {
  static const OpDef kRow = defineOperator<RmsNorm>(
      "RmsNorm", Access::Reduce, {{"", "RMSNormalization", 23, 0, importRmsNormalization}});
  return kRow;
}

}  // namespace carnot
