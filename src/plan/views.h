#pragma once

#include <unordered_map>
#include <unordered_set>

#include "base/dim.h"
#include "ir/graph.h"

namespace carnot {

// Which tensors share memory, so that reshapes, contiguous slices and contiguous concatenations
// copy nothing.
struct ViewPlan {
  struct View {
    const Value* root = nullptr;  // owns the bytes; no view itself
    Dim offset;                   // elements
  };
  std::unordered_map<const Value*, View> views;
  // Graph outputs that own the application's memory; the others are copied out.
  std::unordered_set<const Value*> outputs;
  std::unordered_set<const Node*> elided;  // need no step
};

// Layouts must be chosen: only plain tensors lie inside each other.
ViewPlan planViews(const Graph& graph);

}  // namespace carnot
