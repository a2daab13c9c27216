#include "suites/support/operator_run.h"

namespace carnot::test {

Tensor floats(std::vector<int64_t> dims, std::vector<double> values, DType dtype) {
  Tensor tensor(dtype, std::move(dims));
  for (size_t i = 0; i < values.size(); ++i)
    tensor.view().storeDouble(static_cast<int64_t>(i), values[i]);
  return tensor;
}

Tensor ints(std::vector<int64_t> dims, std::vector<int64_t> values, DType dtype) {
  Tensor tensor(dtype, std::move(dims));
  for (size_t i = 0; i < values.size(); ++i)
    tensor.view().storeInt(static_cast<int64_t>(i), values[i]);
  return tensor;
}

Tensor bools(std::vector<int64_t> dims, std::vector<int64_t> values) {
  return ints(std::move(dims), std::move(values), DType::Bool);
}

std::vector<Tensor> runOperator(std::string_view op, std::vector<Tensor> inputs, size_t outputs) {
  return evaluateOperator(Operator::parse(op), inputs, outputs);
}

Tensor runOperator1(std::string_view op, std::vector<Tensor> inputs) {
  return runOperator(op, std::move(inputs), 1)[0];
}

Operand::Operand(DType dtype, std::string_view shape) {
  type.dtype = dtype;
  shape.remove_prefix(1);
  shape.remove_suffix(1);
  for (size_t start = 0; start < shape.size();) {
    size_t end = std::min(shape.find(',', start), shape.size());
    type.shape.push(Dim::parse(shape.substr(start, end - start)));
    start = end + 1;
  }
}

Operand::Operand(Tensor tensor)
    : type{tensor.dtype(), Shape::of(tensor.dims())}, constant(std::move(tensor)) {}

Operand Operand::holding(const std::vector<std::string_view>& dims) const {
  Operand copy = *this;
  copy.contents.emplace();
  for (std::string_view dim : dims) copy.contents->push_back(Dim::parse(dim));
  return copy;
}

std::string Inferred::contents(size_t i) const {
  if (!outputs[i].contents) return "unknown";
  std::string text;
  for (const Dim& dim : *outputs[i].contents) text += (text.empty() ? "" : ", ") + dim.toString();
  return text;
}

Inferred inferOperator(std::string_view text, const std::vector<Operand>& operands,
                       size_t outputs) {
  Operator op = Operator::parse(text);
  std::vector<InferContext::Input> inputs;
  for (const Operand& operand : operands)
    inputs.push_back({&operand.type, operand.constant.empty() ? nullptr : &operand.constant,
                      operand.contents ? &*operand.contents : nullptr});
  InferContext context;
  context.inputs = inputs;
  context.outputs.resize(outputs);
  int symbols = 0;
  context.freshSymbol = [&](std::string_view hint, const Dim&) {
    return Dim::symbol(std::string(hint) + "_" + std::to_string(symbols++));
  };
  op.definition().infer(op, context);
  return {std::move(context.outputs), std::move(context.guards)};
}

}  // namespace carnot::test
