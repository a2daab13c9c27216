#pragma once

namespace carnot {

class Graph;

// Throws Error (Internal) naming the first broken rule: order, uses against consumers, producers,
// types against inference, unique names, order of what reads and
// writes states.
void verify(const Graph& graph);

}  // namespace carnot
