#include "ops/pointwise_arithmetic.h"

#include "ops/define.h"

namespace carnot {

static ScalarValue expression(const Add&, ScalarBuilder&, std::span<const ScalarValue> in) {
  return in[0] + in[1];
}
template <>
const OpDef& definitionOf<Add>() {
  static const OpDef kRow = definePointwise<Add, 2>("Add");
  return kRow;
}

}  // namespace carnot
