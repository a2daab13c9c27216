#pragma once

#include "ops/operator.h"

namespace carnot {

// ONNX LinearAttention: for each head a state [dk, dv] that every position decays, writes and
// reads:
//   state *= exp(decay); write = value, or beta (value - state^T key) by the delta rule;
//   state += key (x) write; output = scale state^T query.
// Inputs: query [batch, length, queryHeads dk], key [batch, length, kvHeads dk],
// value [batch, length, kvHeads dv]; optional past state [batch, kvHeads, dk, dv] (zeros when
// absent), decay [batch, length, kvHeads] or [batch, length, kvHeads dk], beta
// [batch, length, kvHeads] or [batch, length, 1]. A state serves queryHeads / kvHeads query heads.
// Outputs: [batch, length, queryHeads dv], and the last state, of the past state's type.
struct LinearAttention {
  int64_t queryHeads = 1;
  int64_t kvHeads = 1;
  double scale = 0;  // 0: 1 / sqrt(dk)

  void visit(auto& fields) {
    fields("queryHeads", queryHeads);
    fields("kvHeads", kvHeads);
    fields("scale", scale);
  }
};
template <>
const OpDef& definitionOf<LinearAttention>();

}  // namespace carnot
