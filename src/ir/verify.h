#pragma once

namespace carnot {

class Graph;

// Throws Error (Internal) naming the first broken rule: order, uses against consumers, producers,
// types against inference, unique names.
void verify(const Graph& graph);

}  // namespace carnot
