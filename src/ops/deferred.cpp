#include "ops/deferred.h"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <deque>

#include "base/error.h"
#include "ops/define.h"
#include "ops/evaluate.h"
#include "ops/found.h"
#include "ops/onnx_mappings.h"
#include "ops/onnx_node.h"

namespace carnot {

namespace {

// The node as its mapping sees it: every tensor is known, every emit is carried out at once.
class KnownNode final : public OnnxNode {
 public:
  KnownNode(const Deferred& node, std::span<const TensorView> inputs) : node_(node) {
    for (const TensorView& view : inputs) {
      Tensor tensor;
      if (view.data)
        tensor = Tensor(view.dtype, {view.dims.begin(), view.dims.end()},
                        Buffer::borrow(view.data, view.bytes(), nullptr));
      keep(std::move(tensor));
    }
    results_.resize(static_cast<size_t>(node.outputCount));
  }

  const Tensor& result(size_t i) const {
    if (i >= results_.size() || !results_[i])
      throw Error(ErrorCode::Unsupported, fmt::format("output {} of {}", i, node_.type),
                  "an output that its mapping gives");
    return tensors_[static_cast<size_t>(results_[i].id)].tensor;
  }

  std::string_view type() const override { return node_.type; }
  std::string_view name() const override { return node_.type; }
  int opset() const override { return static_cast<int>(node_.opset); }
  size_t inputCount() const override { return static_cast<size_t>(node_.inputCount); }
  Ref input(size_t i) const override {
    if (i >= inputCount() || tensors_.at(i).tensor.empty()) return {};
    return {static_cast<int>(i)};
  }
  size_t outputCount() const override { return results_.size(); }
  bool outputUsed(size_t i) const override {
    return std::find(node_.wanted.begin(), node_.wanted.end(), static_cast<int64_t>(i)) !=
           node_.wanted.end();
  }

  bool hasAttribute(std::string_view name) const override {
    return std::any_of(
        node_.attributes.begin(), node_.attributes.end(), [&](const std::string& text) {
          return text.size() > name.size() && text.starts_with(name) && text[name.size()] == '=';
        });
  }
  int64_t attributeInt(std::string_view name, int64_t fallback) const override {
    auto value = find(name, "i:");
    return value ? integer(*value) : fallback;
  }
  double attributeFloat(std::string_view name, double fallback) const override {
    auto value = find(name, "f:");
    return value ? real(*value) : fallback;
  }
  std::string attributeString(std::string_view name, std::string_view fallback) const override {
    return std::string(find(name, "s:").value_or(fallback));
  }
  std::vector<int64_t> attributeInts(std::string_view name) const override {
    std::vector<int64_t> values;
    for (std::string_view value : all(name, "I:")) values.push_back(integer(value));
    return values;
  }
  std::vector<double> attributeFloats(std::string_view name) const override {
    std::vector<double> values;
    for (std::string_view value : all(name, "F:")) values.push_back(real(value));
    return values;
  }
  std::vector<std::string> attributeStrings(std::string_view name) const override {
    std::vector<std::string> values;
    for (std::string_view value : all(name, "S:")) values.emplace_back(value);
    return values;
  }
  Tensor attributeTensor(std::string_view name) const override {
    auto value = find(name, "t:");
    if (!value) return {};
    const int64_t index = integer(*value);
    if (index < 0 || static_cast<size_t>(index) >= tensors_.size()) bad(*value);
    return tensors_[static_cast<size_t>(index)].tensor;
  }
  DType attributeDType(std::string_view name, DType fallback) const override {
    auto value = find(name, "d:");
    DType type = fallback;
    if (value && !parseDType(*value, type)) bad(*value);
    return type;
  }

  const TensorType& typeOf(Ref value) const override { return known(value).type; }
  const Tensor* constantOf(Ref value) const override { return &known(value).tensor; }
  std::optional<std::vector<Dim>> contentsOf(Ref value) const override {
    const Tensor& tensor = known(value).tensor;
    if (tensor.count() > kMaxContents) return std::nullopt;
    if (!isInteger(tensor.dtype()) && tensor.dtype() != DType::Bool) return std::nullopt;
    const std::vector<int64_t> values = tensor.toInts();
    return std::vector<Dim>(values.begin(), values.end());
  }

  std::vector<Ref> emit(Operator op, std::span<const Ref> inputs, size_t outputs) override {
    std::vector<Tensor> operands;
    operands.reserve(inputs.size());
    for (Ref input : inputs) operands.push_back(input ? known(input).tensor : Tensor());
    std::vector<Ref> refs;
    for (Tensor& tensor : evaluateOperator(op, operands, outputs))
      refs.push_back(keep(std::move(tensor)));
    return refs;
  }
  Ref constant(Tensor tensor) override { return keep(std::move(tensor)); }
  void setOutput(size_t i, Ref value) override {
    if (i < results_.size()) results_[i] = value;
  }

 private:
  struct Known {
    Tensor tensor;
    TensorType type;
  };

  Ref keep(Tensor tensor) {
    TensorType type;
    if (!tensor.empty()) type = {tensor.dtype(), Shape::of(tensor.dims())};
    tensors_.push_back({std::move(tensor), std::move(type)});
    return {static_cast<int>(tensors_.size()) - 1};
  }
  const Known& known(Ref value) const { return tensors_.at(static_cast<size_t>(value.id)); }

  [[noreturn]] static void bad(std::string_view value) {
    throw Error(ErrorCode::InvalidModel, fmt::format("an attribute of \"{}\"", value),
                "one as Deferred writes it");
  }
  std::optional<std::string_view> find(std::string_view name, std::string_view kind) const {
    for (const std::string& text : node_.attributes)
      if (isOf(text, name, kind)) return std::string_view(text).substr(name.size() + 3);
    return std::nullopt;
  }
  std::vector<std::string_view> all(std::string_view name, std::string_view kind) const {
    std::vector<std::string_view> values;
    for (const std::string& text : node_.attributes)
      if (isOf(text, name, kind)) values.push_back(std::string_view(text).substr(name.size() + 3));
    return values;
  }
  static bool isOf(std::string_view text, std::string_view name, std::string_view kind) {
    return text.size() >= name.size() + 3 && text.starts_with(name) && text[name.size()] == '=' &&
           text.substr(name.size() + 1, 2) == kind;
  }
  template <typename T>
  static T number(std::string_view text) {
    T value{};
    auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (status != std::errc() || end != text.data() + text.size()) bad(text);
    return value;
  }
  static int64_t integer(std::string_view text) { return number<int64_t>(text); }
  static double real(std::string_view text) { return number<double>(text); }

  const Deferred& node_;
  std::deque<Known> tensors_;  // types are referred to
  std::vector<Ref> results_;
};

}  // namespace

static void infer(const Deferred& node, InferContext& context) {
  context.require(node.inputCount >= 0 &&
                      static_cast<size_t>(node.inputCount) <= context.inputs.size() &&
                      node.outputCount >= 0 && node.outputCount <= 1024,
                  fmt::format("{} inputs, {} outputs", node.inputCount, node.outputCount),
                  "the inputs of the node");
  context.require(node.wanted.size() == context.outputs.size(),
                  fmt::format("{} outputs of the node", node.wanted.size()),
                  fmt::format("{}", context.outputs.size()));
  inferFound(context, node.types, node.ranks, node.dims);
}

static void reference(const Deferred& node, const ReferenceContext& context) {
  const OnnxMapping* mapping =
      findOnnxMapping(node.domain, node.type, static_cast<int>(node.opset));
  if (!mapping)
    throw Error(ErrorCode::InvalidModel, fmt::format("a node of type {}", node.type),
                "a supported one");
  KnownNode known(node, context.inputs);
  mapping->import(known);
  for (size_t i = 0; i < node.wanted.size(); ++i) {
    const Tensor& result = known.result(static_cast<size_t>(node.wanted[i]));
    if (static_cast<int64_t>(result.dims().size()) != node.ranks[i] ||
        static_cast<int64_t>(result.dtype()) != node.types[i])
      throw Error(ErrorCode::InvalidArgument,
                  fmt::format("output {} of {} of rank {}", i, node.type, result.dims().size()),
                  fmt::format("rank {}", node.ranks[i]), "give operands that keep the rank");
    TensorView to = context.out(i);
    if (!to.data) {
      to = context.allocate(i, result.dims());
    } else if (!std::equal(to.dims.begin(), to.dims.end(), result.dims().begin(),
                           result.dims().end())) {
      throw Error(ErrorCode::InvalidArgument, fmt::format("output {} of {}", i, node.type),
                  "the dims that it was inferred to have");
    }
    if (result.bytes() > 0) std::memcpy(to.data, result.data(), result.bytes());
  }
}

static Cost cost(const Deferred&, const CostContext& context) {
  return {.flops = 0, .bytes = context.allBytes()};
}

template <>
const OpDef& definitionOf<Deferred>() {
  static const OpDef kRow = defineOperator<Deferred>("Deferred", Access::Opaque, {});
  return kRow;
}

}  // namespace carnot
