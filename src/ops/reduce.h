#pragma once

#include "ops/operator.h"

namespace carnot {

enum class ReduceKind : uint8_t {
  Sum,
  Mean,
  Max,
  Min,
  Prod,
  L1,
  L2,
  SumSquare,
  LogSum,
  LogSumExp,
};
constexpr ReduceKind lastOf(ReduceKind) { return ReduceKind::LogSumExp; }
std::string_view reduceKindName(ReduceKind kind);

// Input: any tensor. Output: the kind's value along the axes; the axes stay with extent 1 when
// keepDims, else leave. No axes: each element on its own. Along an extent of 0: Sum, L1, L2 and
// SumSquare give 0, Prod 1, Max the lowest and Min the highest value of the type, LogSum and
// LogSumExp -infinity.
struct Reduce {
  ReduceKind kind = ReduceKind::Sum;
  std::vector<int64_t> axes = {};  // non-negative, ascending
  bool keepDims = true;

  void visit(auto& fields) {
    fields("kind", kind);
    fields("axes", axes);
    fields("keepDims", keepDims);
  }
};
template <>
const OpDef& definitionOf<Reduce>();

}  // namespace carnot
