#pragma once

#include <initializer_list>
#include <string_view>
#include <vector>

#include "ops/evaluate.h"

namespace carnot::test {

Tensor floats(std::vector<int64_t> dims, std::vector<double> values, DType dtype = DType::F32);
Tensor ints(std::vector<int64_t> dims, std::vector<int64_t> values, DType dtype = DType::I64);
Tensor bools(std::vector<int64_t> dims, std::vector<int64_t> values);

// The operator written as text, on tensors: Tensor{} is an absent input.
std::vector<Tensor> runOperator(std::string_view op, std::vector<Tensor> inputs,
                                size_t outputs = 1);
Tensor runOperator1(std::string_view op, std::vector<Tensor> inputs);

// One operator's shape inference on symbolic inputs.
struct Operand {
  TensorType type;
  Tensor constant;                               // empty: not constant
  std::optional<std::vector<Dim>> contents;      // known as expressions
  Operand(DType dtype, std::string_view shape);  // "[batch, 3]"
  Operand(Tensor tensor);                        // NOLINT: a constant is an operand
  Operand holding(const std::vector<std::string_view>& dims) const;
};
struct Inferred {
  std::vector<InferContext::Output> outputs;
  std::vector<InferContext::Guard> guards;
  std::string type(size_t i = 0) const { return outputs[i].type.toString(); }
  std::string contents(size_t i = 0) const;  // "batch, 3", or "unknown"
};
Inferred inferOperator(std::string_view op, const std::vector<Operand>& inputs, size_t outputs = 1);

}  // namespace carnot::test
