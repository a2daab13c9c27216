#pragma once

#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "frontend/onnx/branch_choices.h"
#include "frontend/onnx/import.h"
#include "frontend/onnx/scope.h"
#include "frontend/onnx/sequences.h"

namespace carnot::onnx {

class Importer {
 public:
  // Reads the choices that were made, adds those that the model asks for.
  Importer(const OnnxModel& model, const ImportOptions& options, BranchChoices& choices);
  std::vector<UnsupportedNode> unsupported() const;
  Graph run();

 private:
  static std::string functionKey(std::string_view domain, std::string_view name,
                                 std::string_view overload);
  Opsets modelOpsets() const;
  const OnnxFunction* functionOf(const OnnxNodeProto& node) const;
  OnnxLookup lookup(const Opsets& opsets) const;
  static int opsetOf(const Opsets& opsets, std::string_view domain);
  void checkVersions() const;

  // --- the interface

  void defineInitializers(const OnnxGraph& graph, Scope& scope);
  void defineInputs(Scope& scope);

  // The model's own tensors are found in the graph under their names; what is made beside them, and
  // what functions and branches hold, gets others.
  void reserveTensorNames();
  void defineOutputs(Scope& scope);

  // --- nodes

  // What the name stands for, loaded when it is an initializer; omitted for the empty name.
  Item resolve(std::string_view name, Scope& scope);

  // A tensor of a graph around `to`, in `to`.
  static Value* bring(Value* value, Target* from, Target* to);
  void importNodes(const std::vector<OnnxNodeProto>& nodes, Scope& scope, const Body& body);
  void importNode(const OnnxNodeProto& node, const std::string& name, Scope& scope,
                  const Body& body);
  std::vector<Item> importItself(const OnnxCall& call, Scope& scope, const Body& body);
  std::vector<Value*> importByMapping(const OnnxNodeProto& node, const std::string& name,
                                      std::vector<Value*> inputs,
                                      std::vector<NamedAttribute> attributes, Scope& scope,
                                      const Body& body);
  static std::vector<NamedAttribute> resolveAttributes(const OnnxNodeProto& node, const Body& body);
  std::vector<Item> call(const OnnxFunction& function, const std::vector<Item>& inputs,
                         std::vector<NamedAttribute> attributes, const std::string& name,
                         const Scope& around, const Body& caller);

  // The nodes of a graph among those of the graph around it.
  std::vector<Item> inlineGraph(const OnnxGraph& graph, const std::vector<Item>& inputs,
                                const std::string& name, Scope& outer, const Body& caller);

  // --- control_flow.cpp

  // A body under import, with names that stand for its inputs.
  struct OpenBody {
    std::unique_ptr<Target> target;  // null: the nodes join the graph around
    Scope scope;
  };
  static const OnnxGraph& graphOf(const OnnxCall& call, std::string_view attribute);
  // Imports the nodes; gives the outputs.
  std::vector<Item> importBody(const OnnxGraph& graph, Scope& scope, const std::string& name,
                               const Body& caller);
  OpenBody openBody(Scope& outer) const;
  std::vector<Item> importIf(const OnnxCall& call, Scope& outer, const Body& caller);
  // One branch, for shapes that take it; a guard refuses others.
  std::vector<Item> importBranch(const OnnxCall& call, const Value* condition, bool holds,
                                 Scope& outer, const Body& caller);
  // How the condition comes out at the sizes that the engine is built for; true where they do not
  // tell.
  bool usual(const Value* condition, const Target& target) const;
  std::optional<int64_t> usualDim(const Dim& dim, const Target& target) const;
  std::vector<Item> importLoop(const OnnxCall& call, Scope& outer, const Body& caller);
  std::vector<Item> importScan(const OnnxCall& call, Scope& outer, const Body& caller);
  std::vector<Item> scanSlices(const OnnxCall& call, const std::vector<Value*>& inputs,
                               bool overBatch, Scope& outer, const Body& caller);
  std::vector<Item> importSequenceMap(const OnnxCall& call, Scope& outer, const Body& caller);

  // What an iteration is made of: names for the tensors that it gets, and what it gives.
  struct LoopBody {
    std::function<std::vector<Item>(OpenBody& open, Value* iteration, Value* condition,
                                    const std::vector<Item>& carried)>
        import;  // the condition, what is carried, then the tensors that are stacked
  };
  std::vector<Item> makeLoop(const OnnxCall& call, Scope& outer, Value* trips, Value* condition,
                             std::vector<Item> carried, const LoopBody& body);
  // One round of finding what an iteration carries on; false: `carried` or `changes` grew.
  bool tryLoopBody(const OnnxCall& call, Scope& outer, std::vector<Item>& carried,
                   std::vector<std::vector<bool>>& changes, const LoopBody& body, OpenBody& open,
                   std::vector<Value*>& results);

  const OnnxModel& model_;
  const ImportOptions& options_;
  BranchChoices& choices_;
  Target main_{std::make_shared<Graph>(), nullptr};
  Graph& graph_;
  OnnxTensorLoader tensors_;
  std::unordered_map<std::string, const OnnxFunction*> functions_;
  std::unordered_set<const Value*> named_;
  std::unordered_map<std::string, int64_t> usualSizes_;  // of the model's symbols
  size_t nodeCount_ = 0;
  bool deferred_ = false;  // some node's operands are known at run time only
};

}  // namespace carnot::onnx
