#pragma once

#include <string>
#include <utility>
#include <vector>

#include "ir/graph.h"

namespace carnot {

// A change that a pass proposes: new nodes, which tensors they replace, and why. Nothing happens to
// the graph before apply().
class Patch {
 public:
  // A tensor of the graph, or one that the patch will make.
  struct Ref {
    Value* existing = nullptr;
    int index = -1;  // of the patch's additions
    int output = 0;
    Ref() = default;                        // an absent optional input
    Ref(Value* value) : existing(value) {}  // NOLINT: a value is a reference to itself
  };

  // `root`: new nodes go right before it. It is the last, in order, of the nodes that the patch
  // replaces.
  Patch(std::string label, Node* root, std::string reason = {})
      : label_(std::move(label)), reason_(std::move(reason)), root_(root) {}

  Ref add(Operator op, std::vector<Ref> inputs, int outputs = 1);
  Ref add(Region region, std::vector<Ref> inputs);
  // As add, of a node that belongs to no ONNX node: it inherits no origins, and leaves a name that
  // it would inherit to what it reads where that is new.
  Ref convert(Operator op, std::vector<Ref> inputs);
  Ref constant(Tensor tensor, std::string name = "constant");
  Ref scalar(DType dtype, double value) { return constant(Tensor::scalar(dtype, value)); }
  static Ref outputOf(Ref node, int output) {
    node.output = output;
    return node;
  }
  void replace(Value* from, Ref to) { replacements_.emplace_back(from, to); }
  void drop(Node* node) { dropped_.push_back(node); }  // whose outputs nothing uses

  const std::string& label() const { return label_; }
  const std::string& reason() const { return reason_; }

  // False when an output of the graph would become an input, a constant or another output: each
  // output keeps a tensor of its own, and its name.
  bool applicable(const Graph& graph) const;
  // Makes the new nodes, redirects every use, drops what died; what is new inherits the names and
  // the origins of what it replaces. Where a replacement knows more of its dims, the types behind
  // it are inferred again. Returns the addresses of the nodes that it erased. Throws Error
  // (Internal) naming the patch when a replacement has another type.
  std::vector<const Node*> apply(Graph& graph) const;

 private:
  struct Addition {
    Operator op;
    std::shared_ptr<const Region> region;
    std::shared_ptr<const Tensor> tensor;
    std::string name;
    std::vector<Ref> inputs;
    int outputs = 1;
    bool conversion = false;
  };
  std::string label_, reason_;
  Node* root_;
  std::vector<Addition> additions_;
  std::vector<std::pair<Value*, Ref>> replacements_;
  std::vector<Node*> dropped_;

  struct Built {
    std::vector<Node*> nodes, conversions;
    std::vector<std::vector<Value*>> made;  // by addition
  };
  Built build(Graph& graph) const;
};

}  // namespace carnot
