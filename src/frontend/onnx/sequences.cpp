#include "frontend/onnx/sequences.h"

#include <algorithm>
#include <array>
#include <limits>

#include "frontend/onnx/emit.h"
#include "frontend/onnx/tensors.h"
#include "ops/concat.h"
#include "ops/optional_element.h"
#include "ops/packed_sequence.h"
#include "ops/shape_of.h"
#include "ops/slice.h"

namespace carnot::onnx {

namespace {

constexpr int64_t kMostParts = 4096;  // that a split is written out in

std::optional<int64_t> constantOf(const Value* value) {
  if (!value->constant || value->constant->count() != 1) return std::nullopt;
  return value->constant->view().loadInt(0);
}

// Where `position` falls among `size` places, counted from the end when negative.
size_t placeOf(int64_t position, size_t size, size_t places) {
  const auto all = static_cast<int64_t>(size);
  if (position < -all || position >= static_cast<int64_t>(places))
    invalid(fmt::format("position {} in a sequence of {}", position, size),
            fmt::format("{} to {}", -all, static_cast<int64_t>(places) - 1));
  return static_cast<size_t>(position < 0 ? position + all : position);
}

int64_t attributeInt(const OnnxCall& call, std::string_view name, int64_t fallback) {
  for (const NamedAttribute& attribute : call.attributes)
    if (attribute.name == name) return attribute.value->integer;
  return fallback;
}

Value* tensorInput(const OnnxCall& call, size_t i) {
  if (i >= call.inputs.size() || !call.inputs[i]) return nullptr;
  return requireTensor(call.inputs[i], fmt::format("input {}", i));
}

Value* requireTensorInput(const OnnxCall& call, size_t i) {
  Value* value = tensorInput(call, i);
  if (!value) invalid(fmt::format("no input {}", i), "one");
  return value;
}

Item construct(const OnnxCall& call) {
  std::vector<Value*> tensors;
  for (size_t i = 0; i < call.inputs.size(); ++i) {
    tensors.push_back(requireTensorInput(call, i));
    if (tensors[i]->type.dtype != tensors[0]->type.dtype)
      invalid(fmt::format("tensors of {} and {}", dtypeName(tensors[0]->type.dtype),
                          dtypeName(tensors[i]->type.dtype)),
              "one element type");
  }
  if (tensors.empty()) invalid("no inputs", "one or more");
  const DType dtype = tensors[0]->type.dtype;
  return Item::sequence(dtype, std::move(tensors));
}

Item erase(const OnnxCall& call, Target& target) {
  Item sequence = requireSequence(call, 0);
  Value* position = tensorInput(call, 1);
  const std::optional<int64_t> known = position ? constantOf(position) : -1;
  if (!sequence.isPacked && known) {
    const size_t size = sequence.parts.size();
    sequence.parts.erase(sequence.parts.begin() +
                         static_cast<ptrdiff_t>(placeOf(*known, size, size)));
    return Item::sequence(sequence.dtype, std::move(sequence.parts));
  }
  const Item all = packed(sequence, target, call.name);
  std::vector<Value*> inputs = all.parts;
  if (position) inputs.push_back(position);
  return Item::packed(
      all.dtype, all.rank,
      target.maker.emit(Operator::of(SequenceSplice{.positioned = position != nullptr}),
                        std::move(inputs), 3, call.name));
}

// The tensor without an axis of extent 1.
Value* without(Value* tensor, size_t axis, Target& target, const std::string& name) {
  std::vector<Dim> dims = tensor->type.shape.dims();
  dims.erase(dims.begin() + static_cast<ptrdiff_t>(axis));
  return emitOne(target, name, Operator::of(Reshape{Shape(std::move(dims))}), {tensor});
}

Item split(const OnnxCall& call, Target& target) {
  Value* whole = requireTensorInput(call, 0);
  Value* lengths = tensorInput(call, 1);
  const DType dtype = whole->type.dtype;
  const size_t axis = normalizeAxis(attributeInt(call, "axis", 0), whole->type.shape.rank());
  const std::optional<int64_t> extent = whole->type.shape[axis].tryConstant();
  const bool squeezes = !lengths && attributeInt(call, "keepdims", 1) == 0;

  std::optional<std::vector<int64_t>> parts;
  if (!lengths && extent && *extent <= kMostParts) {
    parts.emplace(static_cast<size_t>(*extent), 1);
  } else if (lengths && lengths->constant && lengths->type.shape.rank() == 1) {
    parts = lengths->constant->toInts();
    int64_t sum = 0;
    for (int64_t part : *parts)
      if (part < 0 || part > Dim::kLargest || (sum += part) > Dim::kLargest)
        invalid(fmt::format("a part of {}", part), "0 or more, within the tensor");
    if (extent && sum != *extent)
      invalid(fmt::format("parts of {} in all", sum), fmt::format("{}", *extent));
    if (!extent) parts.reset();
  } else if (lengths && extent) {
    if (std::optional<int64_t> each = constantOf(lengths)) {
      if (*each < 1) invalid(fmt::format("parts of {}", *each), "1 or more");
      if (*extent / *each < kMostParts) {
        parts.emplace();
        for (int64_t start = 0; start < *extent; start += *each)
          parts->push_back(std::min(*each, *extent - start));
      }
    }
  }
  if (parts) {
    std::vector<Value*> tensors;
    int64_t start = 0;
    for (int64_t part : *parts) {
      auto bound = [&](int64_t value) {
        return target.maker.constant(call.name, Tensor::ofInts({1}, std::vector<int64_t>{value}));
      };
      Value* tensor =
          emitOne(target, call.name,
                  Operator::of(Slice{.axes = {static_cast<int64_t>(axis)}, .steps = {1}}),
                  {whole, bound(start), bound(start + part)});
      tensors.push_back(squeezes ? without(tensor, axis, target, call.name) : tensor);
      start += part;
    }
    return Item::sequence(dtype, std::move(tensors));
  }
  if (squeezes)
    refuse("a split of unknown extent without keepdims", "keepdims, or an extent that is known");
  if (!lengths) lengths = target.maker.constant(call.name, Tensor::scalar(DType::I64, 1));
  return Item::packed(dtype, whole->type.shape.rank(),
                      target.maker.emit(Operator::of(SequenceSplit{static_cast<int64_t>(axis)}),
                                        {whole, lengths}, 3, call.name));
}

Value* join(const OnnxCall& call, Target& target) {
  const Item sequence = requireSequence(call, 0);
  const bool isNew = attributeInt(call, "new_axis", 0) != 0;
  if (!sequence.isPacked && sequence.parts.empty())
    invalid("an empty sequence to put together", "one or more tensors");
  if (!sequence.rank)
    refuse("a sequence of tensors of unknown numbers of dims", "the same number of dims for all",
           "declare the shapes of its tensors");
  const size_t rank = *sequence.rank + (isNew ? 1 : 0);
  const size_t axis = normalizeAxis(attributeInt(call, "axis", 0), rank);
  if (sequence.isPacked)
    return emitOne(
        target, call.name,
        Operator::of(SequenceJoin{static_cast<int64_t>(axis), isNew, static_cast<int64_t>(rank)}),
        sequence.parts);
  std::vector<Value*> tensors = sequence.parts;
  for (Value*& tensor : tensors) {
    if (!isNew) continue;
    std::vector<Dim> dims = tensor->type.shape.dims();
    dims.insert(dims.begin() + static_cast<ptrdiff_t>(axis), Dim(1));
    tensor = emitOne(target, call.name, Operator::of(Reshape{Shape(std::move(dims))}), {tensor});
  }
  if (tensors.size() == 1) return tensors[0];
  return emitOne(target, call.name, Operator::of(Concat{static_cast<int64_t>(axis)}),
                 std::move(tensors));
}

Item makeOptional(const OnnxCall& call, Target& target) {
  auto flag = [&](bool value) {
    return target.maker.constant(call.name, Tensor::scalar(DType::Bool, value));
  };
  if (call.inputs.empty() || !call.inputs[0]) return Item::optional(flag(false), std::nullopt);
  if (call.inputs[0].kind == Item::Kind::Optional) return call.inputs[0];
  return Item::optional(flag(true), call.inputs[0]);
}

Item held(const OnnxCall& call, Target& target) {
  if (call.inputs.empty() || !call.inputs[0]) invalid("no input", "an optional");
  const Item& item = call.inputs[0];
  if (item.kind != Item::Kind::Optional) return item;
  if (!item.held || (item.present->constant && !item.present->constant->view().loadBool(0)))
    refuse("an optional that holds nothing", "one that holds something");
  if (item.present->constant) return *item.held;
  Value* present = scalarOf(target, call.name, item.present);
  return rebuilt(*item.held, [&](Value* value) {
    return emitOne(target, call.name, Operator::of(OptionalElement{}), {value, present});
  });
}

Value* hasElement(const OnnxCall& call, Target& target) {
  if (!call.inputs.empty() && call.inputs[0].kind == Item::Kind::Optional)
    return call.inputs[0].present;
  const bool given = !call.inputs.empty() && call.inputs[0];
  return target.maker.constant(call.name, Tensor::scalar(DType::Bool, given));
}

constexpr std::array<std::string_view, 11> kTypes = {
    "ConcatFromSequence", "Optional",          "OptionalGetElement", "OptionalHasElement",
    "SequenceAt",         "SequenceConstruct", "SequenceEmpty",      "SequenceErase",
    "SequenceInsert",     "SequenceLength",    "SplitToSequence"};

}  // namespace

bool isSequenceNode(const OnnxNodeProto& node) {
  return (node.domain.empty() || node.domain == "ai.onnx") &&
         std::find(kTypes.begin(), kTypes.end(), node.type) != kTypes.end();
}

Item requireSequence(const OnnxCall& call, size_t i) {
  if (i >= call.inputs.size()) invalid(fmt::format("no input {}", i), "a sequence");
  const Item* item = &call.inputs[i];
  if (item->kind == Item::Kind::Optional && item->held) item = item->held.get();
  if (item->kind != Item::Kind::Sequence)
    invalid(fmt::format("input {} is {}", i, item->kindName()), "a sequence");
  return *item;
}

Value* sequenceAt(const Item& sequence, Value* position, Target& target, const std::string& name) {
  const std::optional<int64_t> known = constantOf(position);
  if (!sequence.isPacked && known)
    return sequence.parts[placeOf(*known, sequence.parts.size(), sequence.parts.size())];
  if (!sequence.rank)
    refuse("a tensor of a sequence, of an unknown number of dims", "a known number",
           "declare the shapes of the sequence's tensors");
  std::vector<Value*> inputs = packed(sequence, target, name).parts;
  inputs.push_back(position);
  return emitOne(target, name, Operator::of(SequenceAt{static_cast<int64_t>(*sequence.rank)}),
                 std::move(inputs));
}

Item sequenceInsert(const Item& sequence, Value* tensor, Value* position, Target& target,
                    const std::string& name) {
  const std::optional<int64_t> known = position ? constantOf(position) : std::nullopt;
  const DType dtype = tensor->type.dtype;
  if (sequence.dtype != dtype)
    invalid(fmt::format("a tensor of {}", dtypeName(dtype)),
            fmt::format("{}, as in the sequence", dtypeName(sequence.dtype)));
  if (!sequence.isPacked && (!position || known)) {
    std::vector<Value*> tensors = sequence.parts;
    const size_t place =
        known ? placeOf(*known, tensors.size(), tensors.size() + 1) : tensors.size();
    tensors.insert(tensors.begin() + static_cast<ptrdiff_t>(place), tensor);
    return Item::sequence(dtype, std::move(tensors));
  }
  const Item all = packed(sequence, target, name);
  std::optional<size_t> rank = tensor->type.shape.rank();
  const bool isEmpty = !sequence.isPacked && sequence.parts.empty();
  if (!isEmpty && all.rank != rank) rank.reset();
  if (!position) {
    const Item added = packed(Item::sequence(dtype, {tensor}), target, name);
    std::vector<Value*> parts;
    for (size_t i = 0; i < 3; ++i)
      parts.push_back(
          emitOne(target, name, Operator::of(Concat{0}), {all.parts[i], added.parts[i]}));
    return Item::packed(dtype, rank, std::move(parts));
  }
  std::vector<Value*> inputs = all.parts;
  inputs.push_back(position);
  inputs.push_back(tensor);
  return Item::packed(
      dtype, rank,
      target.maker.emit(Operator::of(SequenceSplice{.inserts = true, .positioned = true}),
                        std::move(inputs), 3, name));
}

Value* sequenceLength(const Item& sequence, Target& target, const std::string& name) {
  if (!sequence.isPacked)
    return target.maker.constant(
        name, Tensor::scalar(DType::I64, static_cast<double>(sequence.parts.size())));
  return scalarOf(target, name,
                  emitOne(target, name, Operator::of(ShapeOf{0, 1}), {sequence.parts[2]}));
}

std::vector<Item> importSequenceNode(const OnnxCall& call, Target& target) {
  const std::string_view type = call.node.type;
  if (type == "SequenceConstruct") return {construct(call)};
  if (type == "SequenceEmpty")
    return {Item::sequence(onnxDType(attributeInt(call, "dtype", 1)), {})};
  if (type == "SequenceAt")
    return {Item::of(
        sequenceAt(requireSequence(call, 0), requireTensorInput(call, 1), target, call.name))};
  if (type == "SequenceInsert")
    return {sequenceInsert(requireSequence(call, 0), requireTensorInput(call, 1),
                           tensorInput(call, 2), target, call.name)};
  if (type == "SequenceErase") return {erase(call, target)};
  if (type == "SequenceLength")
    return {Item::of(sequenceLength(requireSequence(call, 0), target, call.name))};
  if (type == "SplitToSequence") return {split(call, target)};
  if (type == "ConcatFromSequence") return {Item::of(join(call, target))};
  if (type == "Optional") return {makeOptional(call, target)};
  if (type == "OptionalGetElement") return {held(call, target)};
  ensure(type == "OptionalHasElement", "a type of the list");
  return {Item::of(hasElement(call, target))};
}

}  // namespace carnot::onnx
