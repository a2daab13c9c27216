#pragma once

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "ir/graph.h"
#include "ir/patch.h"

namespace carnot {

// Nodes that are to become one region. Ordered as in the graph.
class Group {
 public:
  // More steps or more tensors read than this are left to the next region.
  static constexpr size_t kMaxSteps = 24;
  static constexpr size_t kMaxInputs = 8;

  explicit Group(const Graph& graph) : graph_(&graph), nodes_(Before{&graph}) {}

  void add(Node* node) { nodes_.insert(node); }
  bool contains(const Node* node) const { return nodes_.contains(const_cast<Node*>(node)); }
  size_t size() const { return nodes_.size(); }
  auto begin() const { return nodes_.begin(); }
  auto end() const { return nodes_.end(); }

  // Tensors made inside and read outside, or outputs of the graph.
  std::vector<Value*> leaving() const;
  // Different tensors made outside.
  size_t inputCount() const;
  // No path leaves the group and comes back.
  bool isConvex() const;
  // Whether the tensor is made behind a node of the group, or in it.
  bool reaches(const Value* value) const;

  // The group as one region, in canonical form.
  Patch fused(std::string label) const;

 private:
  struct Before {
    const Graph* graph;
    bool operator()(const Node* a, const Node* b) const {
      return graph->placeOf(a) < graph->placeOf(b);
    }
  };
  const Graph* graph_;
  std::set<Node*, Before> nodes_;
};

// An operator, not yet a region, that a kernel carries out. A view of a state is a copy, which the
// updates behind it do not reach.
bool isComputed(const Node* node);
// Of those, what fusing takes: nodes that read or write a state stay where they are.
bool isFusible(const Node* node);

}  // namespace carnot
