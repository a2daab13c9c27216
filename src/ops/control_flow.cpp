#include "ops/control_flow.h"

#include "base/error.h"
#include "ops/define.h"
#include "ops/found.h"

namespace carnot {

namespace {

template <typename T>
OpDef controlRow(std::string_view name) {
  OpDef row = defineOperator<T>(name, Access::Opaque, {});
  row.deterministic = false;  // a body may hold anything; nothing here folds or merges it
  return row;
}

[[noreturn]] void throwNoReference() {
  throw Error(ErrorCode::Unsupported, "control flow within a region", "steps of the runtime");
}

}  // namespace

static void infer(const ControlIf& op, InferContext& context) {
  inferFound(context, op.types, op.ranks, op.dims);
}
static void reference(const ControlIf&, const ReferenceContext&) { throwNoReference(); }
static Cost cost(const ControlIf&, const CostContext&) { return {}; }

static void infer(const ControlLoop& op, InferContext& context) {
  inferFound(context, op.types, op.ranks, op.dims);
}
static void reference(const ControlLoop&, const ReferenceContext&) { throwNoReference(); }
static Cost cost(const ControlLoop&, const CostContext&) { return {}; }

template <>
const OpDef& definitionOf<ControlIf>() {
  static const OpDef kRow = controlRow<ControlIf>("If");
  return kRow;
}

template <>
const OpDef& definitionOf<ControlLoop>() {
  static const OpDef kRow = controlRow<ControlLoop>("Loop");
  return kRow;
}

}  // namespace carnot
