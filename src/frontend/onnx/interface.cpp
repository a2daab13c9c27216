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
    std::string name = fmt::format("{}_{}", input, axis);
    while (names_.contains(name)) name += '_';
    return Dim::symbol(name);
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

std::vector<TensorType> inputTypes(const std::vector<const OnnxValueInfo*>& inputs,
                                   const ImportOptions& options) {
  checkGivenNames(inputs, options);
  InputShapes shapes(inputs, options);
  std::vector<TensorType> types;
  for (const OnnxValueInfo* input : inputs) {
    inFrame([&] { return fmt::format("input {}", input->name); },
            [&] {
              if (input->type.kind == OnnxType::Kind::None)
                throw Error(ErrorCode::InvalidModel, "no type", "the type of a tensor");
              if (input->type.kind != OnnxType::Kind::Tensor)
                throw Error(ErrorCode::Unsupported, std::string(kindName(input->type.kind)),
                            "a tensor");
              DType dtype = onnxDType(input->type.elementType);
              types.push_back({dtype, shapes.of(*input)});
            });
  }
  return types;
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
