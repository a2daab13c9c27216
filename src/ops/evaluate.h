#pragma once

#include <span>
#include <vector>

#include "ops/operator.h"

namespace carnot {

// Infers and runs an operator's reference on tensors; empty ones are absent optional inputs. Throws
// what infer throws.
std::vector<Tensor> evaluateOperator(const Operator& op, std::span<const Tensor> inputs,
                                     size_t outputs = 1);

}  // namespace carnot
