#pragma once

#include "ops/operator.h"

namespace carnot {

// Elements converted to another type by ONNX's rules: float to integer truncates (outside the
// integer's range the result is unspecified), integers keep their low bits, to Bool is != 0.
struct Cast {
  DType to = DType::F32;
  // To a float of 8 bits: what lies outside its range becomes its largest value; else NaN, or the
  // infinity of types that have one.
  bool saturate = true;
  std::string roundMode = "up";  // to F8E8M0 alone: "up", "down" or "nearest" (ties up)

  void visit(auto& fields) {
    fields("to", to);
    fields("saturate", saturate);
    fields("roundMode", roundMode);
  }
};
template <>
const OpDef& definitionOf<Cast>();

// The same bits as elements of another type of the same width.
struct BitCast {
  DType to = DType::F32;

  void visit(auto& fields) { fields("to", to); }
};
template <>
const OpDef& definitionOf<BitCast>();

}  // namespace carnot
