#include "ops/onnx_nested.h"

#include "base/error.h"
#include "ops/onnx_mappings.h"

namespace carnot {

namespace {

class NestedNode final : public OnnxNode {
 public:
  NestedNode(OnnxNode& outer, std::string_view type, int opset, std::vector<Ref> inputs,
             const OnnxFields* fields, size_t outputs)
      : outer_(outer),
        type_(type),
        opset_(opset),
        inputs_(std::move(inputs)),
        fields_(fields),
        outputs_(outputs) {}

  const std::vector<Ref>& outputs() const { return outputs_; }

  std::string_view type() const override { return type_; }
  std::string_view name() const override { return outer_.name(); }
  int opset() const override { return opset_; }
  size_t inputCount() const override { return inputs_.size(); }
  Ref input(size_t i) const override { return i < inputs_.size() ? inputs_[i] : Ref{}; }
  size_t outputCount() const override { return outputs_.size(); }
  bool outputUsed(size_t i) const override { return i < outputs_.size(); }

  bool hasAttribute(std::string_view name) const override {
    return fields_ ? fields_->contains(name) : outer_.hasAttribute(name);
  }
  int64_t attributeInt(std::string_view name, int64_t fallback) const override {
    if (!fields_) return outer_.attributeInt(name, fallback);
    const auto* value = field<int64_t>(name);
    return value ? *value : fallback;
  }
  double attributeFloat(std::string_view name, double fallback) const override {
    if (!fields_) return outer_.attributeFloat(name, fallback);
    const auto* value = field<double>(name);
    return value ? *value : fallback;
  }
  std::string attributeString(std::string_view name, std::string_view fallback) const override {
    if (!fields_) return outer_.attributeString(name, fallback);
    const auto* value = field<std::string>(name);
    return value ? *value : std::string(fallback);
  }
  std::vector<int64_t> attributeInts(std::string_view name) const override {
    return fields_ ? std::vector<int64_t>() : outer_.attributeInts(name);
  }
  std::vector<double> attributeFloats(std::string_view name) const override {
    return fields_ ? std::vector<double>() : outer_.attributeFloats(name);
  }
  std::vector<std::string> attributeStrings(std::string_view name) const override {
    return fields_ ? std::vector<std::string>() : outer_.attributeStrings(name);
  }
  Tensor attributeTensor(std::string_view name) const override {
    return fields_ ? Tensor() : outer_.attributeTensor(name);
  }
  DType attributeDType(std::string_view name, DType fallback) const override {
    return fields_ ? fallback : outer_.attributeDType(name, fallback);
  }

  const TensorType& typeOf(Ref value) const override { return outer_.typeOf(value); }
  const Tensor* constantOf(Ref value) const override { return outer_.constantOf(value); }
  std::optional<std::vector<Dim>> contentsOf(Ref value) const override {
    return outer_.contentsOf(value);
  }
  std::vector<Ref> emit(Operator op, std::span<const Ref> inputs, size_t outputs) override {
    return outer_.emit(std::move(op), inputs, outputs);
  }
  Ref constant(Tensor tensor) override { return outer_.constant(std::move(tensor)); }
  void setOutput(size_t i, Ref value) override {
    if (i < outputs_.size()) outputs_[i] = value;
  }

 private:
  template <typename T>
  const T* field(std::string_view name) const {
    const auto found = fields_->find(name);
    return found == fields_->end() ? nullptr : std::get_if<T>(&found->second);
  }

  OnnxNode& outer_;
  std::string_view type_;
  int opset_;
  std::vector<Ref> inputs_;
  const OnnxFields* fields_;
  std::vector<Ref> outputs_;
};

}  // namespace

std::vector<OnnxNode::Ref> importNested(OnnxNode& node, std::string_view type, int opset,
                                        std::vector<OnnxNode::Ref> inputs, const OnnxFields* fields,
                                        size_t outputs) {
  const OnnxMapping* mapping = findOnnxMapping("", type, opset);
  ensure(mapping != nullptr, "an operator that is imported");
  NestedNode nested(node, type, opset, std::move(inputs), fields, outputs);
  mapping->import(nested);
  return nested.outputs();
}

OnnxNode::Ref emitNested(OnnxNode& node, std::string_view type, int opset,
                         std::vector<OnnxNode::Ref> inputs, const OnnxFields& fields) {
  return importNested(node, type, opset, std::move(inputs), &fields)[0];
}

}  // namespace carnot
