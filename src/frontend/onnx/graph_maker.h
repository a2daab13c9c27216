#pragma once

#include <string>
#include <vector>

#include "ir/graph.h"

namespace carnot {

// Appends to the graph under import. What is constant and small is computed at once, so that
// shapes, axes and scales that a model computes are known to the nodes that need them.
class GraphMaker {
 public:
  explicit GraphMaker(Graph& graph) : graph_(graph) {}

  Graph& graph() { return graph_; }
  Value* constant(const std::string& name, Tensor tensor);
  // To take back all nodes and guards made since.
  struct Mark {
    size_t nodes, guards;
  };
  Mark mark() const { return {graph_.nodes().size(), graph_.guards.size()}; }
  void rollBack(const Mark& mark);
  // The outputs of one operator that stands for (part of) the ONNX node `origin`.
  std::vector<Value*> emit(Operator op, std::vector<Value*> inputs, size_t outputs,
                           const std::string& origin);

 private:
  bool computable(const Operator& op, const std::vector<Value*>& inputs, size_t outputs) const;

  Graph& graph_;
};

}  // namespace carnot
