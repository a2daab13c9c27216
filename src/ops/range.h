#pragma once

#include "ops/operator.h"

namespace carnot {

// Inputs: start, limit, delta: scalars of one type. Output: start + i * delta for i in
// [0, max(ceil((limit - start) / delta), 0)).
struct Range {
  void visit([[maybe_unused]] auto& fields) {}
};
template <>
const OpDef& definitionOf<Range>();

}  // namespace carnot
