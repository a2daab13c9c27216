#pragma once

#include <functional>
#include <string>
#include <vector>

#include "frontend/onnx/graph_maker.h"
#include "frontend/onnx/model.h"
#include "frontend/onnx/tensors.h"
#include "ops/onnx_node.h"

namespace carnot {

// An attribute under the name that the node gives it; inside a function its value may be the
// caller's.
struct NamedAttribute {
  std::string_view name;
  const OnnxAttribute* value = nullptr;
};

// One node of a model, as operators' import functions see it.
class NodeView final : public OnnxNode {
 public:
  struct Given {
    const OnnxNodeProto& node;
    std::string name;
    int opset;
    std::vector<NamedAttribute> attributes;
    std::vector<Value*> inputs;  // null: omitted
    std::vector<bool> outputsUsed;
  };
  // Imports a graph that the node holds, in place, with these inputs; gives its outputs.
  using Inline =
      std::function<std::vector<Value*>(const OnnxGraph& graph, const std::vector<Value*>& inputs)>;
  NodeView(GraphMaker& maker, OnnxTensorLoader& tensors, Given given, Inline inlined = {});

  // What setOutput was told, null where it was not.
  const std::vector<Value*>& results() const { return results_; }

  std::string_view type() const override { return given_.node.type; }
  std::string_view name() const override { return given_.name; }
  int opset() const override { return given_.opset; }
  size_t inputCount() const override { return given_.inputs.size(); }
  Ref input(size_t i) const override;
  size_t outputCount() const override { return given_.outputsUsed.size(); }
  bool outputUsed(size_t i) const override {
    return i < given_.outputsUsed.size() && given_.outputsUsed[i];
  }

  bool hasAttribute(std::string_view name) const override { return find(name) != nullptr; }
  int64_t attributeInt(std::string_view name, int64_t fallback) const override;
  double attributeFloat(std::string_view name, double fallback) const override;
  std::string attributeString(std::string_view name, std::string_view fallback) const override;
  std::vector<int64_t> attributeInts(std::string_view name) const override;
  std::vector<double> attributeFloats(std::string_view name) const override;
  std::vector<std::string> attributeStrings(std::string_view name) const override;
  Tensor attributeTensor(std::string_view name) const override;
  DType attributeDType(std::string_view name, DType fallback) const override;

  const TensorType& typeOf(Ref value) const override { return valueOf(value)->type; }
  const Tensor* constantOf(Ref value) const override { return valueOf(value)->constant.get(); }
  std::optional<std::vector<Dim>> contentsOf(Ref value) const override {
    return valueOf(value)->contents;
  }

  using OnnxNode::emit;
  std::vector<Ref> emit(Operator op, std::span<const Ref> inputs, size_t outputs) override;
  Ref constant(Tensor tensor) override;
  void setOutput(size_t i, Ref value) override;
  std::vector<Ref> inlineGraph(std::string_view name, std::span<const Ref> inputs) override;

 private:
  const OnnxAttribute* find(std::string_view name) const;
  // The attribute when the node has it; throws when it is of another type.
  const OnnxAttribute* find(std::string_view name, OnnxAttributeType type) const;
  Value* valueOf(Ref value) const;
  Ref refer(Value* value);

  GraphMaker& maker_;
  OnnxTensorLoader& tensors_;
  Given given_;
  Inline inline_;
  std::vector<Value*> values_;  // by Ref::id: the inputs first
  std::vector<Value*> results_;
};

}  // namespace carnot
