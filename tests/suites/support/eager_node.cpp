#include "suites/support/eager_node.h"

#include "base/error.h"
#include "suites/support/operator_run.h"

namespace carnot::test {

EagerNode::EagerNode(OnnxCase description)
    : case_(std::move(description)), symbols_(case_.symbols) {
  for (size_t i = 0; i < case_.inputs.size(); ++i) {
    const Tensor& tensor = case_.inputs[i];
    if (auto contents = case_.contents.find(i); contents != case_.contents.end()) {
      inputs_.push_back(addList(contents->second));
      continue;
    }
    if (tensor.empty()) {
      inputs_.push_back({});
      continue;
    }
    Value value{.type = {tensor.dtype(), Shape::of(tensor.dims())}, .tensor = tensor};
    if (auto shape = case_.shapes.find(i); shape != case_.shapes.end()) {
      value.type.shape = Operand(tensor.dtype(), shape->second).type.shape;
      bindSymbols(value.type.shape, tensor.dims());
    }
    value.constant =
        std::find(case_.constants.begin(), case_.constants.end(), i) != case_.constants.end();
    inputs_.push_back(add(std::move(value)));
  }
  outputs_.resize(case_.outputs);
}

// The symbols must be bound by inputs before it.
OnnxNode::Ref EagerNode::addList(const std::vector<std::string>& dims) {
  Value value;
  value.contents.emplace();
  std::vector<int64_t> values;
  for (const std::string& dim : dims) {
    value.contents->push_back(Dim::parse(dim));
    values.push_back(valueOf(value.contents->back()));
  }
  value.tensor = Tensor::ofInts({static_cast<int64_t>(values.size())}, values);
  value.type = {DType::I64, Shape::of(value.tensor.dims())};
  return add(std::move(value));
}

void EagerNode::bindSymbols(const Shape& shape, std::span<const int64_t> dims) {
  ensure(shape.rank() == dims.size(), "the case's shape has the tensor's rank");
  for (size_t axis = 0; axis < dims.size(); ++axis) {
    if (auto symbol = shape[axis].asSymbol()) symbols_.emplace(*symbol, dims[axis]);
    ensure(valueOf(shape[axis]) == dims[axis], "the case's shape has the tensor's dims");
  }
}

int64_t EagerNode::valueOf(const Dim& dim) const {
  return dim.evaluate([&](const std::string& symbol) { return symbols_.at(symbol); });
}

std::vector<Tensor> EagerNode::run() {
  const OnnxMapping* mapping = findOnnxMapping(case_.domain, case_.type, case_.opset);
  ensure(mapping != nullptr, "an import of this type and opset");
  mapping->import(*this);
  std::vector<Tensor> results;
  for (Ref output : outputs_) results.push_back(output ? at(output).tensor : Tensor{});
  return results;
}

std::string EagerNode::outputContents(size_t i) const {
  auto contents = contentsOf(outputs_[i]);
  if (!contents) return "unknown";
  std::string text;
  for (const Dim& dim : *contents) text += (text.empty() ? "" : ", ") + dim.toString();
  return text;
}

OnnxNode::Ref EagerNode::input(size_t i) const { return i < inputs_.size() ? inputs_[i] : Ref{}; }

bool EagerNode::hasAttribute(std::string_view name) const {
  return case_.attributes.contains(std::string(name));
}

template <typename T>
const T* EagerNode::attribute(std::string_view name) const {
  auto found = case_.attributes.find(std::string(name));
  if (found == case_.attributes.end()) return nullptr;
  if (const T* value = std::get_if<T>(&found->second)) return value;
  throw Error(ErrorCode::InvalidModel, fmt::format("attribute {} of another kind", name));
}

int64_t EagerNode::attributeInt(std::string_view name, int64_t fallback) const {
  auto value = attribute<int64_t>(name);
  return value ? *value : fallback;
}
double EagerNode::attributeFloat(std::string_view name, double fallback) const {
  auto value = attribute<double>(name);
  return value ? *value : fallback;
}
std::string EagerNode::attributeString(std::string_view name, std::string_view fallback) const {
  auto value = attribute<std::string>(name);
  return value ? *value : std::string(fallback);
}
std::vector<int64_t> EagerNode::attributeInts(std::string_view name) const {
  auto value = attribute<std::vector<int64_t>>(name);
  return value ? *value : std::vector<int64_t>{};
}
std::vector<double> EagerNode::attributeFloats(std::string_view name) const {
  auto value = attribute<std::vector<double>>(name);
  return value ? *value : std::vector<double>{};
}
std::vector<std::string> EagerNode::attributeStrings(std::string_view name) const {
  auto value = attribute<std::vector<std::string>>(name);
  return value ? *value : std::vector<std::string>{};
}
Tensor EagerNode::attributeTensor(std::string_view name) const {
  auto value = attribute<Tensor>(name);
  return value ? *value : Tensor{};
}

// ONNX's numbers of element types, as TensorProto.DataType has them.
DType EagerNode::attributeDType(std::string_view name, DType fallback) const {
  auto value = attribute<int64_t>(name);
  if (!value) return fallback;
  static constexpr DType kTypes[] = {
      DType::F32,        DType::F32,  DType::U8,       DType::I8,         DType::U16,
      DType::I16,        DType::I32,  DType::I64,      DType::F32,        DType::Bool,
      DType::F16,        DType::F64,  DType::U32,      DType::U64,        DType::C64,
      DType::C128,       DType::BF16, DType::F8E4M3FN, DType::F8E4M3FNUZ, DType::F8E5M2,
      DType::F8E5M2FNUZ, DType::U4,   DType::I4,       DType::F4E2M1,     DType::F8E8M0,
      DType::U2,         DType::I2};
  if (*value < 1 || *value >= std::ssize(kTypes))
    throw Error(ErrorCode::InvalidModel, fmt::format("element type {}", *value));
  return kTypes[*value];
}

const Tensor* EagerNode::constantOf(Ref value) const {
  return at(value).constant ? &at(value).tensor : nullptr;
}

std::optional<std::vector<Dim>> EagerNode::contentsOf(Ref value) const {
  const Value& known = at(value);
  if (known.contents) return known.contents;
  const DType dtype = known.type.dtype;
  if (!known.constant || known.tensor.count() > kMaxContents) return std::nullopt;
  if (!isInteger(dtype) && dtype != DType::Bool) return std::nullopt;
  std::vector<int64_t> values = known.tensor.toInts();
  return std::vector<Dim>(values.begin(), values.end());
}

OnnxNode::Ref EagerNode::add(Value value) {
  values_.push_back(std::move(value));
  return Ref{static_cast<int>(values_.size()) - 1};
}

OnnxNode::Ref EagerNode::constant(Tensor tensor) {
  TensorType type{tensor.dtype(), Shape::of(tensor.dims())};
  return add({.type = std::move(type), .tensor = std::move(tensor), .constant = true});
}

// As a runtime runs it: shapes among the attributes at the symbols' values.
Operator EagerNode::atValues(const Operator& op) const {
  FieldMap fields = op.fields();
  for (auto& [name, value] : fields)
    if (auto* shape = std::get_if<Shape>(&value))
      for (size_t i = 0; i < shape->rank(); ++i) (*shape)[i] = Dim(valueOf((*shape)[i]));
  return op.definition().make(fields);
}

std::vector<OnnxNode::Ref> EagerNode::emit(Operator op, std::span<const Ref> inputs,
                                           size_t outputs) {
  emitted_.push_back(op.toString());
  std::vector<InferContext::Input> types;
  std::vector<TensorView> views;
  bool constant = true;
  for (Ref ref : inputs) {
    if (!ref) {
      types.push_back({});
      views.push_back({});
      continue;
    }
    const Value& value = at(ref);
    types.push_back({&value.type, value.constant ? &value.tensor : nullptr,
                     value.contents ? &*value.contents : nullptr});
    views.push_back(value.tensor.view());
    constant = constant && value.constant;
  }
  InferContext context;
  context.inputs = types;
  context.outputs.resize(outputs);
  op.definition().infer(op, context);
  for (const InferContext::Guard& guard : context.guards)
    if (valueOf(guard.a) != valueOf(guard.b))
      throw Error(ErrorCode::InvalidArgument, guard.what, "equal dims");

  std::vector<Tensor> results;
  std::vector<TensorView> outputViews;
  for (const InferContext::Output& output : context.outputs) {
    results.emplace_back(output.type.dtype, output.type.shape.evaluate([&](const std::string& s) {
      return symbols_.at(s);
    }));
    outputViews.push_back(results.back().view());
  }
  const Operator concrete = atValues(op);
  concrete.definition().reference(concrete,
                                  {.inputs = views, .outputs = outputViews, .allocate = {}});

  std::vector<Ref> refs;
  for (size_t i = 0; i < outputs; ++i) {
    InferContext::Output& output = context.outputs[i];
    if (output.contents) {
      std::vector<int64_t> known;
      for (const Dim& dim : *output.contents) known.push_back(valueOf(dim));
      if (known != results[i].toInts()) throwInternal("contents that are not the values");
    }
    refs.push_back(add({.type = std::move(output.type),
                        .tensor = std::move(results[i]),
                        .constant = constant && !inputs.empty(),
                        .contents = std::move(output.contents)}));
  }
  return refs;
}

void EagerNode::setOutput(size_t i, Ref value) {
  if (i < outputs_.size()) outputs_[i] = value;
}

Tensor runOnnx(OnnxCase description) { return EagerNode(std::move(description)).run()[0]; }

}  // namespace carnot::test
