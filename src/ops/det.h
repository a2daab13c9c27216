#pragma once

#include "ops/operator.h"

namespace carnot {

// ONNX Det: determinants of the square matrices in the last two dims.
struct Det {
  void visit(auto&) {}
};
template <>
const OpDef& definitionOf<Det>();

}  // namespace carnot
