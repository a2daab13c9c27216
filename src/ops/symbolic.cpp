#include "ops/symbolic.h"

#include "base/error.h"
#include "ops/define.h"

namespace carnot {

static void infer(const Symbolic& symbolic, InferContext& context) {
  context.require(elementCount(symbolic.dims) == static_cast<int64_t>(symbolic.values.rank()),
                  fmt::format("{} values", symbolic.values.rank()), "one an element of dims");
  context.require(isInteger(symbolic.dtype) || symbolic.dtype == DType::Bool,
                  std::string(dtypeName(symbolic.dtype)), "an integer type or bool");
  context.setOutput(0, symbolic.dtype, Shape::of(symbolic.dims));
  context.outputs[0].contents = symbolic.values.dims();
}

static void reference(const Symbolic& symbolic, const ReferenceContext& context) {
  for (size_t i = 0; i < symbolic.values.rank(); ++i) {
    std::optional<int64_t> value = symbolic.values[i].tryConstant();
    if (!value)
      throw Error(ErrorCode::Unsupported,
                  fmt::format("the value {}", symbolic.values[i].toString()),
                  "values of the shape's symbols, which a runtime has and a kernel does not");
    context.out(0).storeInt(static_cast<int64_t>(i), *value);
  }
}

static Cost cost(const Symbolic&, const CostContext&) { return {}; }

template <>
const OpDef& definitionOf<Symbolic>() {
  static const OpDef row = defineOperator<Symbolic>("Symbolic", Access::Opaque, {});
  return row;
}

}  // namespace carnot
