#include "ops/contents.h"

#include <algorithm>

namespace carnot {

namespace {

bool canFollow(const TensorType& type) {
  return (isInteger(type.dtype) || type.dtype == DType::Bool) && type.shape.isStatic();
}

// The constant integers of input i as a tensor, or nullopt.
std::optional<Tensor> constantInput(const InferContext& context, size_t i) {
  if (context.inputs[i].constant) return *context.inputs[i].constant;
  auto contents = context.contentsOf(i);
  if (!contents || !context.shape(i).isStatic()) return std::nullopt;
  std::vector<int64_t> values;
  for (const Dim& dim : *contents) {
    if (!dim.isConstant()) return std::nullopt;
    values.push_back(dim.constant());
  }
  return Tensor::ofInts(context.shape(i).concrete(), values);
}

}  // namespace

void setContents(InferContext& context, size_t output, std::vector<Dim> contents) {
  const TensorType& type = context.outputs[output].type;
  if (!canFollow(type)) return;
  const auto count = static_cast<int64_t>(contents.size());
  if (count > kMaxContents || count != elementCount(type.shape.concrete())) return;
  context.outputs[output].contents = std::move(contents);
}

void moveContents(InferContext& context, std::initializer_list<size_t> data,
                  FunctionRef<void(const ReferenceContext&)> reference) {
  const TensorType& type = context.outputs[0].type;
  if (!canFollow(type) || elementCount(type.shape.concrete()) > kMaxContents) return;

  std::vector<Dim> pool;
  std::vector<Tensor> tensors(context.inputs.size());
  for (size_t i = 0; i < context.inputs.size(); ++i) {
    if (!context.has(i)) continue;
    if (std::find(data.begin(), data.end(), i) == data.end()) {
      auto constant = constantInput(context, i);
      if (!constant) return;
      tensors[i] = *constant;
      continue;
    }
    auto contents = context.contentsOf(i);
    if (!contents) return;
    std::vector<int64_t> numbers;
    for (Dim& dim : *contents) {
      numbers.push_back(static_cast<int64_t>(pool.size()));
      pool.push_back(std::move(dim));
    }
    tensors[i] = Tensor::ofInts(context.shape(i).concrete(), numbers);
  }

  Tensor moved(DType::I64, type.shape.concrete());
  std::vector<TensorView> inputs(tensors.size());
  for (size_t i = 0; i < tensors.size(); ++i)
    if (!tensors[i].empty()) inputs[i] = tensors[i].view();
  const TensorView outputs[] = {moved.view()};
  reference(ReferenceContext{.inputs = inputs, .outputs = outputs, .allocate = {}});
  std::vector<Dim> contents;
  for (int64_t number : moved.toInts()) contents.push_back(pool[static_cast<size_t>(number)]);
  setContents(context, 0, std::move(contents));
}

}  // namespace carnot
