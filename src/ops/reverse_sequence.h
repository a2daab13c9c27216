#pragma once

#include "ops/operator.h"

namespace carnot {

// Inputs: x, lengths (int64 [batch extent]). Output: along timeAxis, the first lengths[b] elements
// of batch b reversed, the rest as they are.
struct ReverseSequence {
  int64_t batchAxis = 1;
  int64_t timeAxis = 0;

  void visit(auto& fields) {
    fields("batchAxis", batchAxis);
    fields("timeAxis", timeAxis);
  }
};
template <>
const OpDef& definitionOf<ReverseSequence>();

}  // namespace carnot
