#pragma once

#include <string>
#include <string_view>

#include "ir/graph.h"

namespace carnot {

// One line an entry:
//   graph name
//   input %x : float32[batch, 3]
//   state %s : float32[3]
//   const %w : float32[3] = [1, 2, 3]
//   const %k : float32[64, 3, 7, 7] = ...
//   %y : float32[batch, 3] = Add{}(%x, %w) from "Add_0"
//   %a : float32[batch, 3], %b : int64[2] = Op{axis=1}(%y, _)
//   %r : float32[batch, 3] = region "(a,b) c=Add(a,b) -> c"(%x, %w)
//   output %r
//   update %s = %t
// The last is a state and what it is after the nodes that update it; left out where none does.
// Constants of more than 16 elements print as `...`; layouts other than plain follow the type as @.
std::string printGraph(const Graph& graph);

// Reads what printGraph writes; `...` becomes a random tensor in [-1, 1), seeded by its name. Types
// of nodes are inferred and must agree with those written. Throws Error (InvalidArgument) with the
// line.
Graph parseGraph(std::string_view text);

}  // namespace carnot
