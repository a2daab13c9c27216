#include "ops/optional_element.h"

#include "base/error.h"
#include "ops/define.h"
#include "ops/elements.h"

namespace carnot {

static void infer(const OptionalElement&, InferContext& context) {
  context.require(context.dtype(1) == DType::Bool && context.rank(1) == 0,
                  context.type(1).toString(), "bool[]");
  context.setOutput(0, context.dtype(0), context.shape(0));
}

static void reference(const OptionalElement&, const ReferenceContext& context) {
  if (!context.in(1).loadBool(0))
    throw Error(ErrorCode::InvalidArgument, "an optional that holds nothing", "its element",
                "give it one, or ask with OptionalHasElement first");
  const TensorView &x = context.in(0), &y = context.out(0);
  for (int64_t i = 0; i < x.count(); ++i) copyElement(x, i, y, i);
}

static Cost cost(const OptionalElement&, const CostContext& context) {
  return {.flops = 0, .bytes = context.allBytes()};
}

template <>
const OpDef& definitionOf<OptionalElement>() {
  static const OpDef kRow = defineOperator<OptionalElement>("OptionalElement", Access::Opaque, {});
  return kRow;
}

}  // namespace carnot
