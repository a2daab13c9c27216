#pragma once

#include <unordered_map>
#include <unordered_set>

#include "base/dim.h"
#include "ir/graph.h"

namespace carnot {

// Which tensors share memory, so that reshapes copy nothing.
struct ViewPlan {
  struct View {
    const Value* root = nullptr;  // owns the bytes; no view itself
    Dim offsetBytes;
  };
  std::unordered_map<const Value*, View> views;
  // Graph outputs that own the application's memory; the others are copied out.
  std::unordered_set<const Value*> outputs;
};

ViewPlan planViews(const Graph& graph);

}  // namespace carnot
