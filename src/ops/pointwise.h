#pragma once

#include <span>

#include "ops/operator.h"

namespace carnot {

// One element of a pointwise operator as a program over its inputs of these types. Throws Error
// (InvalidModel) for types that it is not defined for.
ScalarProgram pointwiseProgram(const Operator& op, std::span<const DType> inputs);

}  // namespace carnot
