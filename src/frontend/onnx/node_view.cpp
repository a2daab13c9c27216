#include "frontend/onnx/node_view.h"

#include "base/error.h"

namespace carnot {

namespace {

[[noreturn]] void wrongKind(const OnnxAttribute& attribute, std::string_view name,
                            std::string_view needs) {
  throw Error(ErrorCode::InvalidModel,
              fmt::format("attribute {} is {}", name, onnxAttributeTypeName(attribute.type)),
              std::string(needs));
}

}  // namespace

NodeView::NodeView(GraphMaker& maker, OnnxTensorLoader& tensors, Given given, Inline inlined)
    : maker_(maker),
      tensors_(tensors),
      given_(std::move(given)),
      inline_(std::move(inlined)),
      values_(given_.inputs),
      results_(given_.outputsUsed.size()) {}

OnnxNode::Ref NodeView::input(size_t i) const {
  if (i >= given_.inputs.size() || !given_.inputs[i]) return {};
  return {static_cast<int>(i)};
}

const OnnxAttribute* NodeView::find(std::string_view name) const {
  for (const NamedAttribute& attribute : given_.attributes)
    if (attribute.name == name) return attribute.value;
  return nullptr;
}

const OnnxAttribute* NodeView::find(std::string_view name, OnnxAttributeType type) const {
  const OnnxAttribute* attribute = find(name);
  if (attribute && attribute->type != type)
    wrongKind(*attribute, name, onnxAttributeTypeName(type));
  return attribute;
}

int64_t NodeView::attributeInt(std::string_view name, int64_t fallback) const {
  const OnnxAttribute* attribute = find(name, OnnxAttributeType::Int);
  return attribute ? attribute->integer : fallback;
}

double NodeView::attributeFloat(std::string_view name, double fallback) const {
  const OnnxAttribute* attribute = find(name, OnnxAttributeType::Float);
  return attribute ? attribute->real : fallback;
}

std::string NodeView::attributeString(std::string_view name, std::string_view fallback) const {
  const OnnxAttribute* attribute = find(name, OnnxAttributeType::String);
  return std::string(attribute ? attribute->string : fallback);
}

std::vector<int64_t> NodeView::attributeInts(std::string_view name) const {
  const OnnxAttribute* attribute = find(name, OnnxAttributeType::Ints);
  return attribute ? attribute->integers : std::vector<int64_t>();
}

std::vector<double> NodeView::attributeFloats(std::string_view name) const {
  const OnnxAttribute* attribute = find(name, OnnxAttributeType::Floats);
  if (!attribute) return {};
  return {attribute->reals.begin(), attribute->reals.end()};
}

std::vector<std::string> NodeView::attributeStrings(std::string_view name) const {
  const OnnxAttribute* attribute = find(name, OnnxAttributeType::Strings);
  if (!attribute) return {};
  return {attribute->strings.begin(), attribute->strings.end()};
}

Tensor NodeView::attributeTensor(std::string_view name) const {
  const OnnxAttribute* attribute = find(name);
  if (!attribute) return {};
  if (attribute->type == OnnxAttributeType::SparseTensor && attribute->sparseTensors.size() == 1)
    return tensors_.load(attribute->sparseTensors[0]);
  if (attribute->type != OnnxAttributeType::Tensor || attribute->tensors.size() != 1)
    wrongKind(*attribute, name, "a tensor");
  return tensors_.load(attribute->tensors[0]);
}

DType NodeView::attributeDType(std::string_view name, DType fallback) const {
  const OnnxAttribute* attribute = find(name);
  if (!attribute) return fallback;
  if (attribute->type == OnnxAttributeType::String) return onnxDTypeNamed(attribute->string);
  if (attribute->type != OnnxAttributeType::Int) wrongKind(*attribute, name, "an element type");
  return onnxDType(attribute->integer);
}

Value* NodeView::valueOf(Ref value) const {
  ensure(value.id >= 0 && static_cast<size_t>(value.id) < values_.size() && values_[value.id],
         "a tensor of the node");
  return values_[value.id];
}

OnnxNode::Ref NodeView::refer(Value* value) {
  values_.push_back(value);
  return {static_cast<int>(values_.size()) - 1};
}

std::vector<OnnxNode::Ref> NodeView::emit(Operator op, std::span<const Ref> inputs,
                                          size_t outputs) {
  std::vector<Value*> values;
  for (Ref input : inputs) values.push_back(input ? valueOf(input) : nullptr);
  std::vector<Ref> refs;
  for (Value* value : maker_.emit(std::move(op), std::move(values), outputs, given_.name))
    refs.push_back(refer(value));
  return refs;
}

OnnxNode::Ref NodeView::constant(Tensor tensor) {
  return refer(maker_.constant(given_.name, std::move(tensor)));
}

std::vector<OnnxNode::Ref> NodeView::inlineGraph(std::string_view name,
                                                 std::span<const Ref> inputs) {
  const OnnxAttribute* attribute = find(name);
  if (!attribute || attribute->graphs.size() != 1)
    throw Error(ErrorCode::InvalidModel, fmt::format("no graph in attribute {}", name), "one");
  ensure(static_cast<bool>(inline_), "an importer of graphs");
  std::vector<Value*> values;
  for (Ref input : inputs) values.push_back(valueOf(input));
  std::vector<Ref> refs;
  for (Value* value : inline_(attribute->graphs[0], values)) refs.push_back(refer(value));
  return refs;
}

void NodeView::setOutput(size_t i, Ref value) {
  if (i < results_.size()) results_[i] = valueOf(value);
}

}  // namespace carnot
