#pragma once

#include <carnot/network.h>

#include "frontend/onnx/import.h"

namespace carnot {

// What the API's Network holds: the model's graph, and how its interface differs from the model's.
struct Network::State {
  // An input or output: a tensor of the graph as the application sees it.
  struct Port {
    std::string tensor, name;
    DType dtype;
  };
  std::shared_ptr<const OnnxModel> model;  // null: none was parsed
  ImportOptions importing;                 // shapes that replace the model's
  Graph graph;
  std::string name;
  std::vector<Port> inputs, outputs;
};

// A network of a graph that is no model's.
Network networkOf(Graph graph);

// The graph that the network stands for, the application's own to change.
Graph networkGraph(const Network& network);

// A model whose bytes are copied.
OnnxModel ownedModel(std::span<const std::byte> bytes, const std::string& folder);

}  // namespace carnot
