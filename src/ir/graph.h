#pragma once

#include <list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/layout.h"
#include "ops/operator.h"
#include "ops/region.h"

namespace carnot {

class Graph;
struct Node;

// A tensor of the graph. Owned by the graph; addresses are stable.
struct Value {
  std::string name;  // unique among the graph's values
  TensorType type;
  Layout layout;                             // set by the layout phase
  std::shared_ptr<const Tensor> constant;    // contents, when constant
  std::optional<std::vector<Dim>> contents;  // small integer tensors: contents as expressions
  Node* producer = nullptr;                  // null: graph input or constant
  size_t producerOutput = 0;
  std::vector<Node*> consumers;  // one entry a use; graph outputs are not counted
  bool isState = false;          // memory that the application owns, before or after an update

  bool isConstant() const { return constant != nullptr; }
};

// Nodes that run other graphs, which EngineStep::Control describes.
enum class Control : uint8_t { None, If, Loop };

// What a node does: one operator before fusion, one region after it.
struct Node {
  std::string name;  // unique among the graph's nodes
  Operator op;
  std::shared_ptr<const Region> region;  // after fusion; op is empty then
  std::vector<Value*> inputs;            // null: an absent optional input
  std::vector<Value*> outputs;
  std::vector<std::string> origins;  // names of the ONNX nodes it came from
  std::vector<Dim>
      symbols;  // made by its inference for dims that depend on data; kept when renewed
  // With control the node keeps its operator, which says its outputs' types, and owns its bodies.
  Control control = Control::None;
  std::vector<std::shared_ptr<Graph>> bodies;
  int32_t carried = 0;  // Loop: tensors that an iteration hands to the next
  std::list<std::unique_ptr<Node>>::iterator position;
  size_t place = 0;  // Graph::placeOf

  std::string_view opName() const;  // the operator's, or "Region"
  std::vector<InferContext::Input> inferInputs() const;
  std::vector<Update> updates() const;  // operands that it writes
  template <typename T>
  const T* as() const {
    return op ? op.as<T>() : nullptr;
  }
};

// Memory that the application owns and that keeps its contents from run to run, as a tensor before
// the run and the same one after the last node that updates it (one tensor where none does). Each
// update takes the tensor that the one before gave; whatever reads a tensor stands before the node
// that updates it.
struct StateOperand {
  Value *before = nullptr, *after = nullptr;
};

struct Guard {
  Dim a, b;
  std::string what;
};

// A directed acyclic graph in single assignment; nodes are kept in topological order.
class Graph {
 public:
  using NodeList = std::list<std::unique_ptr<Node>>;

  std::string name;
  std::vector<Value*> inputs, outputs;
  std::vector<StateOperand> states;
  // What the application calls each output; empty: as the tensors are called, which passes may
  // exchange for equal ones (an input, a constant, the tensor of another output).
  std::vector<std::string> outputNames;
  std::vector<Guard> guards;
  // Upper bounds of symbols that depend on data.
  std::unordered_map<std::string, Dim> symbolBounds;

  Graph() = default;
  Graph(const Graph&) = delete;
  Graph& operator=(const Graph&) = delete;
  Graph(Graph&&) = default;
  Graph& operator=(Graph&&) = default;

  Graph clone() const;  // independent, but for constants, which are shared

  Value* addInput(const std::string& name, TensorType type);
  Value* addState(const std::string& name, TensorType type);
  Value* addConstant(const std::string& name, Tensor tensor);  // equal small tensors are shared
  Value* addConstant(const std::string& name, std::shared_ptr<const Tensor> tensor);
  // Appends before `before` (null: at the end), infers the outputs' types. `outputs` is their
  // count.
  Node* addNode(const std::string& name, Operator op, std::vector<Value*> inputs,
                size_t outputs = 1, Node* before = nullptr);
  Node* addRegion(const std::string& name, Region region, std::vector<Value*> inputs,
                  Node* before = nullptr);
  // In nodes, graph outputs and what states become; `from` gets none.
  void replaceUses(Value* from, Value* to);
  void setInput(Node* node, size_t index, Value* value);
  void erase(Node* node);  // its outputs must be unused
  void eraseUnusedValues();
  void infer(Node* node);  // renews the outputs' types and contents; throws Error within the node
  void inferAll();
  // Stable topological order, readers of a state before the node that updates it. Throws Error
  // (InvalidModel) on a cycle.
  void sort();

  const NodeList& nodes() const { return nodes_; }
  std::vector<Node*> nodeList() const;  // a snapshot, safe against changes
  const std::vector<std::unique_ptr<Value>>& values() const { return values_; }
  bool isOutput(const Value* value) const;  // or what a state becomes
  std::vector<Value*> given() const;        // what the application brings: inputs, then states
  // The node that updates a state's tensor; null when none does.
  static Node* updaterOf(const Value* value);
  // Whether nothing uses what the node makes: its outputs, and the symbols of their dims.
  bool isDead(const Node* node) const;
  // Where the node stands: smaller than the place of every node after it.
  size_t placeOf(const Node* node) const;
  std::string uniqueName(std::string_view stem);  // among values and symbols
  Dim freshSymbol(std::string_view hint, Dim upper);

 private:
  Value* newValue(const std::string& name);
  // Gives the node's symbols in turn, and makes those that it lacks.
  InferContext::FreshSymbol symbolsOf(Node* node);
  NodeList nodes_;
  mutable bool numbered_ = false;
  std::vector<std::unique_ptr<Value>> values_;
  std::string uniqueNodeName(std::string_view stem);
  std::unordered_map<std::string, int> names_, nodeNames_;  // with the last number given
};

}  // namespace carnot
