#include "ops/where.h"

#include "ops/define.h"

namespace carnot {

static ScalarValue expression(const Where&, ScalarBuilder& builder,
                              std::span<const ScalarValue> in) {
  return builder.select(in[0], in[1], in[2]);
}

template <>
const OpDef& definitionOf<Where>() {
  static const OpDef kRow = definePointwise<Where, 3>("Where", 9);
  return kRow;
}

}  // namespace carnot
