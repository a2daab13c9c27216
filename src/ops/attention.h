#pragma once

#include "ops/operator.h"

namespace carnot {

// Which keys j query i sees: all; j <= i; j <= i + keys - queries, as when the queries are the last
// of a cached sequence.
enum class Causal : uint8_t { None, FromStart, FromEnd };
constexpr Causal lastOf(Causal) { return Causal::FromEnd; }

// softmax(scale * q k^T + mask) v for each batch and head.
// Inputs: q [batch, heads, queries, d], k [batch, kvHeads, keys, d], v [batch, kvHeads, keys, dv],
// optional mask broadcastable to [batch, heads, queries, keys]: added before the softmax, or Bool,
// where false means -infinity. kvHeads divides heads; query head h reads key head
// h / (heads / kvHeads). A query that may see no key at all gives zeros.
// Output: [batch, heads, queries, dv].
struct Attention {
  double scale = 1;  // explicit: an import writes 1 / sqrt(d) out
  Causal causal = Causal::None;

  void visit(auto& fields) {
    fields("scale", scale);
    fields("causal", causal);
  }
};
template <>
const OpDef& definitionOf<Attention>();

}  // namespace carnot
