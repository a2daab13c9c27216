#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ops/operator.h"

namespace carnot {

// An ONNX node as an operator's import function sees it: attributes and inputs to read, operators to
// emit. Types are inferred at each emit, so later emits can ask for them. Every getter throws Error
// (InvalidModel) naming the attribute or input when it has the wrong kind.
class OnnxNode {
 public:
  // A tensor of the graph under construction; negative: absent.
  struct Ref {
    int id = -1;
    explicit operator bool() const { return id >= 0; }
  };

  virtual ~OnnxNode() = default;
  virtual std::string_view type() const = 0;
  virtual std::string_view name() const = 0;
  virtual int opset() const = 0;  // of the node's domain

  virtual size_t inputCount() const = 0;
  virtual Ref input(size_t i) const = 0;  // absent when omitted or beyond the end
  virtual size_t outputCount() const = 0;
  virtual bool outputUsed(size_t i) const = 0;
  bool hasInput(size_t i) const { return static_cast<bool>(input(i)); }
  Ref requireInput(size_t i) const;

  virtual bool hasAttribute(std::string_view name) const = 0;
  virtual int64_t attributeInt(std::string_view name, int64_t fallback) const = 0;
  virtual double attributeFloat(std::string_view name, double fallback) const = 0;
  virtual std::string attributeString(std::string_view name, std::string_view fallback) const = 0;
  virtual std::vector<int64_t> attributeInts(std::string_view name) const = 0;  // empty: absent
  virtual std::vector<double> attributeFloats(std::string_view name) const = 0;
  virtual std::vector<std::string> attributeStrings(std::string_view name) const = 0;
  virtual Tensor attributeTensor(std::string_view name) const = 0;  // empty(): absent
  virtual DType attributeDType(std::string_view name, DType fallback) const = 0;

  virtual const TensorType& typeOf(Ref value) const = 0;
  virtual const Tensor* constantOf(Ref value) const = 0;  // null: not constant
  // Contents of an integer tensor as expressions, when known.
  virtual std::optional<std::vector<Dim>> contentsOf(Ref value) const = 0;
  const Shape& shapeOf(Ref value) const { return typeOf(value).shape; }
  DType dtypeOf(Ref value) const { return typeOf(value).dtype; }
  size_t rankOf(Ref value) const { return shapeOf(value).rank(); }
  // The constant integers of input i; throws Error (Unsupported) when it is computed at run time.
  std::vector<int64_t> requireConstantInts(size_t i) const;
  double requireConstantScalar(size_t i) const;

  virtual std::vector<Ref> emit(Operator op, std::span<const Ref> inputs, size_t outputs) = 0;
  Ref emit(Operator op, std::initializer_list<Ref> inputs);
  Ref emit(Operator op, std::span<const Ref> inputs) { return emit(std::move(op), inputs, 1)[0]; }
  virtual Ref constant(Tensor tensor) = 0;
  Ref scalar(DType dtype, double value) { return constant(Tensor::scalar(dtype, value)); }
  virtual void setOutput(size_t i, Ref value) = 0;
  // The operators of the graph in attribute `name`, whose inputs are these; gives its outputs.
  virtual std::vector<Ref> inlineGraph(std::string_view name, std::span<const Ref> inputs);

  // An Error (Unsupported) about this node.
  [[noreturn]] void unsupported(std::string has, std::string needs = {},
                                std::string remedy = {}) const;
};

}  // namespace carnot
