#pragma once

#include <vector>

#include <functional>
#include <string>
#include <utility>

#include "frontend/onnx/import.h"
#include "frontend/onnx/item.h"
#include "ops/operator.h"

namespace carnot {

// The tensors that an input of the model is in the graph, and what they are together. A sequence
// "x" is "x:elements", "x:dims" and "x:ranks" (ops/packed_sequence.h); an optional "x" is
// "x:present", a Bool, before "x:value" or the three of a sequence.
struct NamedType {
  std::string name;
  TensorType type;
};
struct InputForm {
  std::vector<NamedType> parts;
  std::function<onnx::Item(std::vector<Value*> values)> make;
};
// Of a graph's inputs that no initializer fills, in order. Dims by name become symbols; a dim
// without a name becomes the symbol "<input>_<axis>". Throws Error (InvalidModel, Unsupported) for
// other types and tensors without a shape, (InvalidArgument) for shapes in `options` that do not
// fit.
std::vector<InputForm> inputForms(const std::vector<const OnnxValueInfo*>& inputs,
                                  const ImportOptions& options);

// The tensors that an output is in the graph, named as those of inputs.
std::vector<std::pair<std::string, Value*>> outputParts(const OnnxValueInfo& declared,
                                                        const onnx::Item& item, Target& target);

// Throws Error (InvalidModel) when an output is not what the model declares. Names of dims bind
// nothing, and numbers only if `shapesAsDeclared`.
void checkOutputType(const OnnxValueInfo& declared, const TensorType& inferred,
                     bool shapesAsDeclared);

}  // namespace carnot
