#pragma once

#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "frontend/onnx/graph_maker.h"

namespace carnot {

// A graph under import, and what it takes from the one around it.
class Target {
 public:
  Target(std::shared_ptr<Graph> made, Target* around)
      : graph(std::move(made)), maker(*graph), outer(around) {}

  std::shared_ptr<Graph> graph;
  GraphMaker maker;
  Target* outer;  // null for the whole model

  // A tensor of the outer graph as an input here, or as a constant.
  Value* capture(Value* value);
  // Its type in symbols of this graph: one for each different dim that is no number.
  TensorType typeHere(const TensorType& type);
  // The outer graph's dim that one of those symbols stands for; null for others.
  const Dim* outerDim(const std::string& symbol) const;
  // The outer tensors captured as inputs, in order.
  const std::vector<Value*>& captured() const { return order_; }

 private:
  std::map<const Value*, Value*> inner_;
  std::vector<Value*> order_;
  std::map<Dim, Dim> dims_;
};

}  // namespace carnot
