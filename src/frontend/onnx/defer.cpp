#include "frontend/onnx/defer.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "base/error.h"
#include "ops/deferred.h"

namespace carnot {

namespace {

constexpr size_t kMostVaried = 4;  // operands that guesses vary independently of each other

// Lists and single numbers, whose values a mapping may ask for.
bool isOperand(const Value* value) {
  if (!value || value->constant || isComplex(value->type.dtype)) return false;
  const Shape& shape = value->type.shape;
  if (shape.rank() > 1 || !shape.isStatic()) return false;
  return elementCount(shape.concrete()) <= kMaxContents;
}

// What an operand might hold, so that the mapping tells the outputs' types. Whether a guess is one
// that the model could give does not matter: a run compares types and ranks.
enum class Guess : uint8_t { Ones, Zeros, Counting };
constexpr size_t kGuesses = 3;

Tensor guessed(const TensorType& type, Guess guess) {
  Tensor tensor(type.dtype, type.shape.concrete());
  for (int64_t i = 0; i < tensor.count(); ++i) {
    const int64_t value = guess == Guess::Ones ? 1 : guess == Guess::Zeros ? 0 : i;
    if (isFloat(type.dtype))
      tensor.view().storeDouble(i, static_cast<double>(value));
    else
      tensor.view().storeInt(i, type.dtype == DType::Bool ? value != 0 : value);
  }
  return tensor;
}

Shape withoutNumbers(Graph& graph, const Shape& shape) {
  Shape free;
  for (size_t axis = 0; axis < shape.rank(); ++axis)
    free.push(Dim::symbol(graph.uniqueName("any")));
  return free;
}

// Types of the outputs that are used, where operands hold what is guessed; nullopt when the mapping
// does not take that.
std::optional<std::vector<TensorType>> typesAt(const std::vector<Guess>& guesses, bool anyDims,
                                               OnnxTensorLoader& tensors,
                                               const NodeView::Given& given,
                                               const OnnxMapping& mapping) {
  Graph graph;
  GraphMaker maker(graph);
  NodeView::Given probe = given;
  std::map<const Value*, Value*> copies{{nullptr, nullptr}};
  size_t next = 0;
  for (Value*& input : probe.inputs) {
    auto [copy, fresh] = copies.try_emplace(input, nullptr);
    if (fresh) {
      if (input->constant) {
        copy->second = graph.addConstant(input->name, input->constant);
      } else if (isOperand(input) && !(anyDims && input == given.inputs[0])) {
        // With any dims the first input is data, if short: its parts are no operand's matter.
        copy->second = graph.addConstant(input->name, guessed(input->type, guesses[next++]));
      } else {
        TensorType type = input->type;
        if (anyDims) type.shape = withoutNumbers(graph, type.shape);
        copy->second = graph.addInput(input->name, std::move(type));
      }
    }
    input = copy->second;
  }
  try {
    NodeView view(maker, tensors, probe);
    mapping.import(view);
    std::vector<TensorType> types;
    for (size_t i = 0; i < probe.outputsUsed.size(); ++i) {
      if (!probe.outputsUsed[i]) continue;
      if (!view.results()[i]) return std::nullopt;
      types.push_back(view.results()[i]->type);
    }
    return types;
  } catch (const Error&) {
    return std::nullopt;
  }
}

std::optional<std::vector<TensorType>> findTypes(size_t operands, OnnxTensorLoader& tensors,
                                                 const NodeView::Given& given,
                                                 const OnnxMapping& mapping) {
  const size_t varied = std::min(operands, kMostVaried);
  size_t combinations = 1;
  for (size_t i = 0; i < varied; ++i) combinations *= kGuesses;
  for (bool anyDims : {false, true})
    for (size_t number = 0; number < combinations; ++number) {
      std::vector<Guess> guesses(operands, Guess::Ones);
      size_t left = number;
      for (size_t i = 0; i < varied; ++i, left /= kGuesses)
        guesses[i] = static_cast<Guess>(left % kGuesses);
      if (auto types = typesAt(guesses, anyDims, tensors, given, mapping)) return types;
    }
  return std::nullopt;
}

// As Deferred keeps them. Tensors join the inputs. False for an attribute that it has no form for.
bool writeAttributes(const NodeView::Given& given, OnnxTensorLoader& tensors, GraphMaker& maker,
                     Deferred& op, std::vector<Value*>& inputs) {
  for (const NamedAttribute& attribute : given.attributes) {
    const OnnxAttribute& value = *attribute.value;
    auto add = [&](std::string_view kind, std::string_view text) {
      op.attributes.push_back(fmt::format("{}={}{}", attribute.name, kind, text));
    };
    switch (value.type) {
      case OnnxAttributeType::Int:
        add("i:", std::to_string(value.integer));
        try {
          add("d:", dtypeName(onnxDType(value.integer)));
        } catch (const Error&) {  // a number that is no element type
        }
        break;
      case OnnxAttributeType::Float:
        add("f:", fmt::format("{}", value.real));
        break;
      case OnnxAttributeType::String:
        add("s:", value.string);
        break;
      case OnnxAttributeType::Ints:
        add("I", "");
        for (int64_t element : value.integers) add("I:", std::to_string(element));
        break;
      case OnnxAttributeType::Floats:
        add("F", "");
        for (float element : value.reals) add("F:", fmt::format("{}", element));
        break;
      case OnnxAttributeType::Strings:
        add("S", "");
        for (std::string_view element : value.strings) add("S:", element);
        break;
      case OnnxAttributeType::Tensor:
        add("t:", std::to_string(inputs.size()));
        inputs.push_back(maker.constant(given.name, tensors.load(value.tensors.at(0))));
        break;
      default:
        return false;
    }
  }
  return true;
}

}  // namespace

std::optional<std::vector<Value*>> deferNode(GraphMaker& maker, OnnxTensorLoader& tensors,
                                             const NodeView::Given& given,
                                             const OnnxMapping& mapping) {
  std::vector<const Value*> operands;
  for (const Value* input : given.inputs)
    if (isOperand(input) && std::find(operands.begin(), operands.end(), input) == operands.end())
      operands.push_back(input);
  if (operands.empty()) return std::nullopt;
  auto types = findTypes(operands.size(), tensors, given, mapping);
  if (!types) return std::nullopt;

  Deferred op;
  op.domain = mapping.domain;
  op.type = mapping.type;
  op.opset = given.opset;
  op.inputCount = static_cast<int64_t>(given.inputs.size());
  op.outputCount = static_cast<int64_t>(given.outputsUsed.size());
  for (size_t i = 0; i < given.outputsUsed.size(); ++i)
    if (given.outputsUsed[i]) op.wanted.push_back(static_cast<int64_t>(i));
  for (const TensorType& type : *types) {
    op.types.push_back(static_cast<int64_t>(type.dtype));
    op.ranks.push_back(static_cast<int64_t>(type.shape.rank()));
    op.dims.insert(op.dims.end(), type.shape.rank(), -1);
  }
  std::vector<Value*> inputs = given.inputs;
  if (!writeAttributes(given, tensors, maker, op, inputs)) return std::nullopt;
  const std::vector<int64_t> wanted = op.wanted;
  std::vector<Value*> results(given.outputsUsed.size());
  std::vector<Value*> made =
      maker.emit(Operator::of(std::move(op)), std::move(inputs), wanted.size(), given.name);
  for (size_t i = 0; i < wanted.size(); ++i) results[static_cast<size_t>(wanted[i])] = made[i];
  return results;
}

}  // namespace carnot
