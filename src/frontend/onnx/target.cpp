#include "frontend/onnx/target.h"

namespace carnot {

TensorType Target::typeHere(const TensorType& type) {
  Shape shape;
  for (const Dim& dim : type.shape) {
    if (dim.isConstant()) {
      shape.push(dim);
      continue;
    }
    auto [found, fresh] = dims_.try_emplace(dim, 0);
    if (fresh) found->second = Dim::symbol(graph->uniqueName(dim.asSymbol().value_or("dim")));
    shape.push(found->second);
  }
  return {type.dtype, std::move(shape)};
}

const Dim* Target::outerDim(const std::string& symbol) const {
  for (const auto& [around, here] : dims_)
    if (here.asSymbol() == symbol) return &around;
  return nullptr;
}

Value* Target::capture(Value* value) {
  auto [found, fresh] = inner_.try_emplace(value, nullptr);
  if (!fresh) return found->second;
  if (value->constant) return found->second = graph->addConstant(value->name, value->constant);
  order_.push_back(value);
  return found->second = graph->addInput(value->name, typeHere(value->type));
}

}  // namespace carnot
