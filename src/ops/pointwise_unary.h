#pragma once

#include "ops/operator.h"

namespace carnot {

// Sign is -1, 0 or 1, and NaN of NaN.
struct Sign {
  void visit(auto&) {}
};
template <>
const OpDef& definitionOf<Sign>();

// "Log" in text and in ONNX; the struct leaves that name to base's Log.
struct NaturalLog {
  void visit(auto&) {}
};
template <>
const OpDef& definitionOf<NaturalLog>();

struct IsInf {
  bool detectNegative = true;
  bool detectPositive = true;

  void visit(auto& fields) {
    fields("detectNegative", detectNegative);
    fields("detectPositive", detectPositive);
  }
};
template <>
const OpDef& definitionOf<IsInf>();

#define CARNOT_UNARY(T, primitive, opset) \
  struct T {                              \
    void visit(auto&) {}                  \
  };                                      \
  template <>                             \
  const OpDef& definitionOf<T>();
#include "ops/pointwise_unary.inc"
#undef CARNOT_UNARY

}  // namespace carnot
