#pragma once

#include <vector>

#include "frontend/onnx/import.h"
#include "ops/operator.h"

namespace carnot {

// The types of a graph's inputs that no initializer fills, in order. Dims by name become symbols;
// a dim without a name becomes the symbol "<input>_<axis>". Throws Error (InvalidModel,
// Unsupported) for types that are no tensor or have no shape, (InvalidArgument) for shapes in
// `options` that do not fit.
std::vector<TensorType> inputTypes(const std::vector<const OnnxValueInfo*>& inputs,
                                   const ImportOptions& options);

// Throws Error (InvalidModel) when an output is not what the model declares. Names of dims bind
// nothing, and numbers only if `shapesAsDeclared`.
void checkOutputType(const OnnxValueInfo& declared, const TensorType& inferred,
                     bool shapesAsDeclared);

}  // namespace carnot
