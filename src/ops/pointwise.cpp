#include "ops/pointwise.h"

#include <algorithm>
#include <numeric>

#include "base/error.h"
#include "ops/define.h"
#include "ops/onnx_node.h"

namespace carnot {

ScalarProgram pointwiseProgram(const Operator& op, std::span<const DType> inputs) {
  ScalarBuilder builder;
  std::vector<ScalarValue> operands;
  for (size_t i = 0; i < inputs.size(); ++i)
    operands.push_back(builder.input(static_cast<int>(i), inputs[i]));
  ScalarValue result = op.definition().expression(op, builder, operands);
  return std::move(builder).finish({&result, 1});
}

namespace {

// The strides that walk `from` along the axes of `to`: 0 where it is broadcast.
std::vector<int64_t> broadcastStrides(std::span<const int64_t> from, std::span<const int64_t> to) {
  std::vector<int64_t> strides(to.size(), 0);
  if (std::ranges::find(from, 0) != from.end()) return strides;  // others may be beyond 2^63
  int64_t stride = 1;
  for (size_t i = 1; i <= from.size(); ++i) {
    int64_t dim = from[from.size() - i];
    if (dim != 1) strides[to.size() - i] = stride;
    stride *= dim;
  }
  return strides;
}

// Visits the elements of `dims` in row-major order, giving the offset of each in every operand.
class BroadcastWalk {
 public:
  BroadcastWalk(std::span<const int64_t> dims, std::vector<std::vector<int64_t>> strides)
      : dims_(dims), strides_(std::move(strides)), index_(dims.size()), offsets_(strides_.size()) {}

  int64_t offset(size_t operand) const { return offsets_[operand]; }
  void next() {
    for (size_t axis = dims_.size(); axis-- > 0;) {
      bool carry = ++index_[axis] == dims_[axis];
      int64_t steps = carry ? 1 - dims_[axis] : 1;
      for (size_t i = 0; i < offsets_.size(); ++i) offsets_[i] += steps * strides_[i][axis];
      if (!carry) return;
      index_[axis] = 0;
    }
  }

 private:
  std::span<const int64_t> dims_;
  std::vector<std::vector<int64_t>> strides_;
  std::vector<int64_t> index_, offsets_;
};

void load(const TensorView& view, int64_t from, ScalarColumn& column, size_t to) {
  if (isComplex(view.dtype)) {
    column.complexes[to] = view.loadComplex(from);
  } else if (isFloat(view.dtype)) {
    column.reals[to] = view.loadDouble(from);
  } else {
    column.integers[to] = view.loadInt(from);
  }
}

void store(const ScalarColumn& column, size_t from, const TensorView& view, int64_t to) {
  if (isComplex(view.dtype)) {
    view.storeComplex(to, column.complexes[from]);
  } else if (isFloat(view.dtype)) {
    view.storeRounded(to, column.reals[from]);  // the program rounds
  } else {
    view.storeInt(to, column.integers[from]);
  }
}

std::optional<std::vector<Dim>> inferContents(const ScalarProgram& program,
                                              const InferContext& context,
                                              const TensorType& output) {
  auto isExact = [](DType type) { return isInteger(type) || type == DType::Bool; };
  if (!isExact(output.dtype) || !output.shape.isStatic()) return std::nullopt;
  std::vector<int64_t> dims = output.shape.concrete();
  int64_t count = elementCount(dims);
  if (count > kMaxContents) return std::nullopt;

  std::vector<std::vector<Dim>> known;
  std::vector<std::vector<int64_t>> strides;
  for (size_t i = 0; i < context.inputs.size(); ++i) {
    if (!context.shape(i).isStatic()) return std::nullopt;
    auto contents = context.contentsOf(i);
    if (!contents) return std::nullopt;
    known.push_back(std::move(*contents));
    strides.push_back(broadcastStrides(context.shape(i).concrete(), dims));
  }

  std::vector<Dim> contents, operands(known.size());
  BroadcastWalk walk(dims, std::move(strides));
  for (int64_t i = 0; i < count; ++i, walk.next()) {
    for (size_t k = 0; k < known.size(); ++k) operands[k] = known[k][walk.offset(k)];
    auto value = evaluateScalar(program, std::span<const Dim>(operands));
    if (!value) return std::nullopt;
    contents.push_back(std::move(*value));
  }
  return contents;
}

}  // namespace

void requireInputCount(size_t has, size_t needs) {
  if (has != needs)
    throw Error(ErrorCode::InvalidModel, fmt::format("{} inputs", has), fmt::format("{}", needs));
}

void inferPointwise(const Operator& op, InferContext& context) {
  context.require(!context.inputs.empty(), "no inputs", "one or more");
  std::vector<DType> types;
  Shape shape = context.shape(0);
  for (size_t i = 0; i < context.inputs.size(); ++i) {
    types.push_back(context.dtype(i));
    if (i > 0) shape = broadcastShapes(context, shape, context.shape(i));
  }
  ScalarProgram program = pointwiseProgram(op, types);
  context.setOutput(0, program.nodes[program.outputs[0]].dtype, std::move(shape));
  context.outputs[0].contents = inferContents(program, context, context.outputs[0].type);
}

void referencePointwise(const Operator& op, const ReferenceContext& context) {
  const TensorView& out = context.out(0);
  std::vector<DType> types;
  std::vector<std::vector<int64_t>> strides;
  for (const TensorView& in : context.inputs) {
    types.push_back(in.dtype);
    strides.push_back(broadcastStrides(in.dims, out.dims));
  }
  ScalarInterpreter interpreter(pointwiseProgram(op, types));
  BroadcastWalk walk(out.dims, std::move(strides));
  int64_t count = out.count();
  for (int64_t done = 0; done < count;) {
    auto block = static_cast<size_t>(std::min<int64_t>(count - done, ScalarInterpreter::kBlock));
    for (size_t i = 0; i < block; ++i, walk.next())
      for (size_t k = 0; k < context.inputs.size(); ++k)
        if (ScalarColumn* column = interpreter.operand(k))
          load(context.inputs[k], walk.offset(k), *column, i);
    interpreter.run(block);
    for (size_t i = 0; i < block; ++i)
      store(interpreter.result(0), i, out, done + static_cast<int64_t>(i));
    done += static_cast<int64_t>(block);
  }
}

Cost costPointwise(const Operator& op, const CostContext& context) {
  std::vector<DType> types;
  for (const TensorType& type : context.inputs) types.push_back(type.dtype);
  double flops = 0;
  for (const ScalarNode& node : pointwiseProgram(op, types).nodes) {
    if (node.op == ScalarOp::Fma) flops += 1;
    if (scalarArity(node.op) > 0 && node.op != ScalarOp::Bitcast) flops += 1;
  }
  return {.flops = flops * context.elements(), .bytes = context.allBytes()};
}

namespace {

// "detectNegative" is "detect_negative" in ONNX.
std::string onnxAttributeName(std::string_view field) {
  std::string name;
  for (char c : field) {
    bool upper = c >= 'A' && c <= 'Z';
    if (upper) name.push_back('_');
    name.push_back(upper ? static_cast<char>(c - 'A' + 'a') : c);
  }
  return name;
}

struct AttributeReader {
  const OnnxNode& node;
  const std::string& name;
  FieldValue operator()(int64_t fallback) const { return node.attributeInt(name, fallback); }
  FieldValue operator()(double fallback) const { return node.attributeFloat(name, fallback); }
  FieldValue operator()(bool fallback) const { return node.attributeInt(name, fallback) != 0; }
  FieldValue operator()(const std::string& fallback) const {
    return node.attributeString(name, fallback);
  }
  FieldValue operator()(DType fallback) const { return node.attributeDType(name, fallback); }
  FieldValue operator()(const std::vector<int64_t>&) const { return node.attributeInts(name); }
  FieldValue operator()(const std::vector<double>&) const { return node.attributeFloats(name); }
  FieldValue operator()(const std::vector<std::string>&) const {
    return node.attributeStrings(name);
  }
  FieldValue operator()(const Shape&) const { return Shape::of(node.attributeInts(name)); }
};

}  // namespace

void importByFields(const OpDef& row, OnnxNode& node) {
  FieldMap fields;
  for (const auto& [field, fallback] : row.make({}).fields()) {
    std::string name = onnxAttributeName(field);
    if (node.hasAttribute(name)) fields[field] = std::visit(AttributeReader{node, name}, fallback);
  }
  std::vector<OnnxNode::Ref> inputs;
  for (size_t i = 0; i < node.inputCount(); ++i) inputs.push_back(node.input(i));
  node.setOutput(0, node.emit(row.make(fields), inputs));
}

}  // namespace carnot
