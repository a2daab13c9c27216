#include "ops/region.h"

namespace carnot {
namespace {

Operator substituteIn(const Operator& op, const std::map<std::string, Dim>& bySymbol) {
  FieldMap fields = op.fields();
  bool changed = false;
  for (auto& [name, value] : fields) {
    Shape* shape = std::get_if<Shape>(&value);
    if (!shape || shape->isStatic()) continue;
    *shape = shape->substitute(bySymbol);
    changed = true;
  }
  return changed ? op.definition().make(fields) : op;
}

}  // namespace

Region Region::substitute(const std::map<std::string, Dim>& bySymbol) const {
  Region region = *this;
  for (Step& step : region.steps) step.op = substituteIn(step.op, bySymbol);
  return region;
}

}  // namespace carnot
