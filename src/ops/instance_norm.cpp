#include "ops/instance_norm.h"

#include "ops/define.h"
#include "ops/norms.h"
#include "ops/onnx_node.h"
#include "ops/requirements.h"

namespace carnot {

static void infer(const InstanceNorm&, InferContext& context) {
  inferChannelNorm(context, 2);
  requireImage(context, 0);
}

static void reference(const InstanceNorm& norm, const ReferenceContext& context) {
  normalizeChannels(context, 1, norm.epsilon);
}

static Cost cost(const InstanceNorm&, const CostContext& context) {
  return {.flops = 8 * context.elements(), .bytes = context.allBytes()};
}

static void importInstanceNormalization(OnnxNode& node) {
  const InstanceNorm norm{node.attributeFloat("epsilon", 1e-5)};
  node.setOutput(0, node.emit(Operator::of(norm),
                              {node.requireInput(0), node.requireInput(1), node.requireInput(2)}));
}

template <>
const OpDef& definitionOf<InstanceNorm>() {
  static const OpDef kRow = defineOperator<InstanceNorm>(
      "InstanceNorm", Access::Reduce,
      {{"", "InstanceNormalization", 1, 0, importInstanceNormalization}});
  return kRow;
}

}  // namespace carnot
