#include "ops/pointwise_activation.h"

#include "ops/define.h"

namespace carnot {

static ScalarValue expression(const Relu&, ScalarBuilder& builder,
                              std::span<const ScalarValue> in) {
  return builder.binary(ScalarOp::Max, builder.like(in[0], 0), in[0]);
}
template <>
const OpDef& definitionOf<Relu>() {
  static const OpDef kRow = definePointwise<Relu, 1>("Relu");
  return kRow;
}

}  // namespace carnot
