#pragma once

#include <deque>
#include <map>
#include <string>
#include <variant>
#include <vector>

#include "ops/onnx_mappings.h"
#include "ops/onnx_node.h"

namespace carnot::test {

using OnnxAttribute = std::variant<int64_t, double, std::string, std::vector<int64_t>,
                                   std::vector<double>, std::vector<std::string>, Tensor>;

// One ONNX node as data, with the tensors that it gets.
struct OnnxCase {
  std::string type;
  int opset = 17;
  std::map<std::string, OnnxAttribute> attributes = {};
  std::vector<Tensor> inputs = {};  // empty(): left out
  size_t outputs = 1;
  std::string domain = {};
  // Inputs that are constants of the graph; others are known at run time alone.
  std::vector<size_t> constants = {};
  // Shapes of inputs with symbols, "[batch, 3]", where they are not the tensors' own.
  std::map<size_t, std::string> shapes = {};
  // Inputs that are lists of int64 known as expressions, in place of a tensor: {"batch", "2*seq"}.
  std::map<size_t, std::vector<std::string>> contents = {};
  std::map<std::string, int64_t> symbols = {};  // whose values do not follow from the tensors
};

// Imports a node and runs every operator that the import emits at once, so that the whole road from
// attributes to values is under test. Each emitted operator's inferred dims must come out at the
// symbols' values, and contents that inference knows must be the values.
class EagerNode : public OnnxNode {
 public:
  explicit EagerNode(OnnxCase description);
  // The outputs' values. Throws what the import throws.
  std::vector<Tensor> run();
  const TensorType& outputType(size_t i) const { return typeOf(outputs_[i]); }
  std::string outputContents(size_t i) const;  // "batch, 3", or "unknown"
  // What the import emitted, in order: "Reshape{shape=[6]}".
  const std::vector<std::string>& emitted() const { return emitted_; }

  std::string_view type() const override { return case_.type; }
  std::string_view name() const override { return "node"; }
  int opset() const override { return case_.opset; }
  size_t inputCount() const override { return case_.inputs.size(); }
  Ref input(size_t i) const override;
  size_t outputCount() const override { return case_.outputs; }
  bool outputUsed(size_t i) const override { return i < case_.outputs; }
  bool hasAttribute(std::string_view name) const override;
  int64_t attributeInt(std::string_view name, int64_t fallback) const override;
  double attributeFloat(std::string_view name, double fallback) const override;
  std::string attributeString(std::string_view name, std::string_view fallback) const override;
  std::vector<int64_t> attributeInts(std::string_view name) const override;
  std::vector<double> attributeFloats(std::string_view name) const override;
  std::vector<std::string> attributeStrings(std::string_view name) const override;
  Tensor attributeTensor(std::string_view name) const override;
  DType attributeDType(std::string_view name, DType fallback) const override;
  const TensorType& typeOf(Ref value) const override { return at(value).type; }
  const Tensor* constantOf(Ref value) const override;
  std::optional<std::vector<Dim>> contentsOf(Ref value) const override;
  std::vector<Ref> emit(Operator op, std::span<const Ref> inputs, size_t outputs) override;
  using OnnxNode::emit;
  Ref constant(Tensor tensor) override;
  void setOutput(size_t i, Ref value) override;

 private:
  struct Value {
    TensorType type;
    Tensor tensor;
    bool constant = false;
    std::optional<std::vector<Dim>> contents = std::nullopt;
  };

  const Value& at(Ref value) const { return values_[static_cast<size_t>(value.id)]; }
  Ref add(Value value);
  Ref addList(const std::vector<std::string>& dims);
  int64_t valueOf(const Dim& dim) const;
  Operator atValues(const Operator& op) const;
  void bindSymbols(const Shape& shape, std::span<const int64_t> dims);
  template <typename T>
  const T* attribute(std::string_view name) const;

  OnnxCase case_;
  std::map<std::string, int64_t> symbols_;
  std::deque<Value> values_;  // references to types stay valid
  std::vector<Ref> inputs_, outputs_;
  std::vector<std::string> emitted_;
};

// Imports and runs; output 0.
Tensor runOnnx(OnnxCase description);

}  // namespace carnot::test
