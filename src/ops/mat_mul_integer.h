#pragma once

#include "ops/operator.h"

namespace carnot {

// Inputs: a [..., m, k] and b [..., k, n] of 8-bit integers, then their zero points, of their types
// and broadcastable to them; either may be absent. Output: the matrix product of the differences,
// as MatMul's, in int32, which wraps. Source: ONNX's MatMulInteger.
struct MatMulInteger {
  void visit(auto&) {}
};
template <>
const OpDef& definitionOf<MatMulInteger>();

}  // namespace carnot
