#include "frontend/onnx/interface.h"

#include <carnot/names.h>

#include <algorithm>
#include <optional>
#include <set>

#include "frontend/onnx/proto.h"
#include "frontend/onnx/tensors.h"

namespace carnot {

namespace {

std::string_view kindName(OnnxType::Kind kind) {
  constexpr std::string_view kNames[] = {"no type", "a tensor",    "a sparse tensor", "a sequence",
                                         "a map",   "an optional", "an opaque type"};
  return kNames[static_cast<size_t>(kind)];
}

// "?" and the like say that a dim is dynamic, not that two such are equal.
bool isName(std::string_view symbol) {
  return std::any_of(symbol.begin(), symbol.end(), [](unsigned char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c >= 0x80;
  });
}

std::optional<Dim> parsed(std::string_view text) {
  try {
    return Dim::parse(text);
  } catch (const Error&) {
    return std::nullopt;
  }
}

class InputShapes {
 public:
  InputShapes(const std::vector<const OnnxValueInfo*>& inputs, const ImportOptions& options)
      : options_(options) {
    for (const OnnxValueInfo* input : inputs) {
      if (!input->type.shape) continue;
      for (const OnnxDim& dim : *input->type.shape)
        if (!dim.value && isName(dim.symbol)) names_.emplace(dim.symbol);
    }
    for (const OnnxValueInfo* input : inputs) fixSymbols(*input);
  }

  // A symbol that no input's dim has.
  Dim own(std::string name) const {
    while (names_.contains(name)) name += '_';
    return Dim::symbol(name);
  }

  Shape of(const OnnxValueInfo& input) {
    auto given = options_.inputShapes.find(std::string(input.name));
    if (given != options_.inputShapes.end()) return given->second;
    if (!input.type.shape)
      throw Error(ErrorCode::Unsupported, "no shape, so not even a number of dims", "a shape",
                  fmt::format("give the shape of input {}", input.name));
    return declared(input).substitute(fixed_);
  }

 private:
  // A name that is an expression over the names of other dims ("past + seq") means it.
  Dim named(std::string_view name) const {
    if (auto dim = parsed(name); dim && !dim->isConstant()) {
      std::vector<std::string> symbols;
      dim->collectSymbols(symbols);
      bool known = std::all_of(symbols.begin(), symbols.end(), [&](const std::string& symbol) {
        return names_.contains(symbol) && symbol != name;
      });
      if (known) return *dim;
    }
    return Dim::symbol(std::string(name));
  }

  Dim unnamed(std::string_view input, size_t axis) const {
    return own(fmt::format("{}_{}", input, axis));
  }

  Shape declared(const OnnxValueInfo& input) const {
    Shape shape;
    for (const OnnxDim& dim : *input.type.shape) {
      // Some exporters write -1 for a dynamic dim.
      if (dim.value && *dim.value >= 0)
        shape.push(*dim.value);
      else if (!dim.value && isName(dim.symbol))
        shape.push(named(dim.symbol));
      else
        shape.push(unnamed(input.name, shape.rank()));
    }
    return shape;
  }

  // Symbols that the caller's shape of one input settles.
  void fixSymbols(const OnnxValueInfo& input) {
    auto given = options_.inputShapes.find(std::string(input.name));
    if (given == options_.inputShapes.end()) return;
    auto invalid = [&](std::string has, std::string needs) {
      throw Error(ErrorCode::InvalidArgument, std::move(has), std::move(needs));
    };
    const Shape& shape = given->second;
    for (const Dim& dim : shape)
      if (dim.isConstant() && dim.constant() < 0)
        invalid(fmt::format("shape {} for input {}", shape.toString(), input.name),
                "dims of 0 or more");
    if (!input.type.shape) return;
    Shape model = declared(input);
    if (model.rank() != shape.rank())
      invalid(fmt::format("shape {} for input {}", shape.toString(), input.name),
              fmt::format("{} dims, as in the model's {}", model.rank(), model.toString()));
    for (size_t axis = 0; axis < model.rank(); ++axis) {
      auto symbol = model[axis].asSymbol();
      if (!symbol || model[axis] == shape[axis]) continue;
      auto [entry, isNew] = fixed_.emplace(*symbol, shape[axis]);
      if (!isNew && entry->second != shape[axis])
        invalid(fmt::format("{} and {} for dim {}", entry->second.toString(),
                            shape[axis].toString(), *symbol),
                "one value wherever the model uses one name");
    }
  }

  const ImportOptions& options_;
  std::set<std::string, std::less<>> names_;  // of all inputs' dims
  std::map<std::string, Dim> fixed_;
};

void checkGivenNames(const std::vector<const OnnxValueInfo*>& inputs,
                     const ImportOptions& options) {
  std::vector<std::string> known;
  for (const OnnxValueInfo* input : inputs) known.emplace_back(input->name);
  for (const auto& [name, shape] : options.inputShapes) {
    if (std::find(known.begin(), known.end(), name) != known.end()) continue;
    std::string all, near = closest(name, known);
    for (const std::string& other : known) all += (all.empty() ? "" : ", ") + other;
    throw Error(ErrorCode::InvalidArgument, fmt::format("a shape for input {}", name),
                fmt::format("one of the model's inputs: {}", all),
                near.empty() ? "" : fmt::format("did you mean {}?", near));
  }
}

}  // namespace

namespace {

InputForm formOf(const OnnxValueInfo& input, const OnnxType& type, InputShapes& shapes) {
  using onnx::Item;
  const std::string name(input.name);
  switch (type.kind) {
    case OnnxType::Kind::None:
      throw Error(ErrorCode::InvalidModel, "no type", "the type of a tensor");
    case OnnxType::Kind::Tensor: {
      OnnxValueInfo tensor{input.name, type};
      return {{{name, {onnxDType(type.elementType), shapes.of(tensor)}}},
              [](std::vector<Value*> values) { return Item::of(values[0]); }};
    }
    case OnnxType::Kind::Sequence: {
      if (!type.held || type.held->kind != OnnxType::Kind::Tensor) break;
      const DType dtype = onnxDType(type.held->elementType);
      std::optional<size_t> rank;
      if (type.held->shape) rank = type.held->shape->size();
      return {{{name + ":elements", {dtype, {shapes.own(name + "_elements")}}},
               {name + ":dims", {DType::I64, {shapes.own(name + "_dims")}}},
               {name + ":ranks", {DType::I64, {shapes.own(name + "_length")}}}},
              [dtype, rank](std::vector<Value*> values) {
                return Item::packed(dtype, rank, std::move(values));
              }};
    }
    case OnnxType::Kind::Optional: {
      if (!type.held || type.held->kind == OnnxType::Kind::Optional) break;
      InputForm form = formOf(input, *type.held, shapes);
      if (form.parts.size() == 1) form.parts[0].name += ":value";
      form.parts.insert(form.parts.begin(), {name + ":present", {DType::Bool, {}}});
      form.make = [held = std::move(form.make)](std::vector<Value*> values) {
        Value* present = values[0];
        values.erase(values.begin());
        return Item::optional(present, held(std::move(values)));
      };
      return form;
    }
    default:
      break;
  }
  std::string has(kindName(type.kind));
  if (type.held) has += fmt::format(" of {}", kindName(type.held->kind));
  throw Error(ErrorCode::Unsupported, std::move(has),
              "a tensor, a sequence of tensors or an optional of these");
}

}  // namespace

std::vector<InputForm> inputForms(const std::vector<const OnnxValueInfo*>& inputs,
                                  const ImportOptions& options) {
  checkGivenNames(inputs, options);
  InputShapes shapes(inputs, options);
  std::vector<InputForm> forms;
  for (const OnnxValueInfo* input : inputs)
    inFrame([&] { return fmt::format("input {}", input->name); },
            [&] { forms.push_back(formOf(*input, input->type, shapes)); });
  return forms;
}

std::vector<std::pair<std::string, Value*>> outputParts(const OnnxValueInfo& declared,
                                                        const onnx::Item& given, Target& target) {
  using onnx::Item;
  const std::string name(declared.name);
  Item item = given;
  // What holds something and what it holds are one where the model says so.
  if (declared.type.kind == OnnxType::Kind::Sequence && item.kind == Item::Kind::Optional &&
      item.held)
    item = *given.held;
  if (declared.type.kind == OnnxType::Kind::Optional && item.kind != Item::Kind::Optional)
    item = Item::optional(target.maker.constant(name, Tensor::scalar(DType::Bool, 1)), given);

  std::vector<std::pair<std::string, Value*>> parts;
  const Item* whole = &item;
  if (item.kind == Item::Kind::Optional) {
    if (!item.held)
      throw Error(ErrorCode::Unsupported, "an optional that never holds anything",
                  "one that holds something in some case");
    parts.emplace_back(name + ":present", item.present);
    whole = item.held.get();
  }
  if (whole->isTensor()) {
    parts.emplace_back(parts.empty() ? name : name + ":value", whole->tensor);
    return parts;
  }
  const Item all = onnx::packed(*whole, target, name);
  constexpr const char* kNames[] = {":elements", ":dims", ":ranks"};
  for (size_t i = 0; i < 3; ++i) parts.emplace_back(name + kNames[i], all.parts[i]);
  return parts;
}

void checkOutputType(const OnnxValueInfo& declared, const TensorType& inferred,
                     bool shapesAsDeclared) {
  const OnnxType& type = declared.type;
  if (type.kind == OnnxType::Kind::None) return;
  auto invalid = [&](std::string has) {
    throw Error(ErrorCode::InvalidModel, std::move(has),
                fmt::format("{}, which its nodes give", inferred.toString()));
  };
  if (type.kind != OnnxType::Kind::Tensor)
    invalid(fmt::format("declared as {}", kindName(type.kind)));
  if (type.elementType != 0 && onnxDType(type.elementType) != inferred.dtype)
    invalid(fmt::format("declared as {}", dtypeName(onnxDType(type.elementType))));
  if (!type.shape || !shapesAsDeclared) return;
  if (type.shape->size() != inferred.shape.rank())
    invalid(fmt::format("declared with {} dims", type.shape->size()));
  for (size_t axis = 0; axis < type.shape->size(); ++axis) {
    const auto& dim = (*type.shape)[axis];
    if (dim.value && *dim.value >= 0 && compare(*dim.value, inferred.shape[axis]) == Equality::No)
      invalid(fmt::format("declared with {} in axis {}", *dim.value, axis));
  }
}

}  // namespace carnot
