#pragma once

#include <functional>
#include <optional>
#include <string>

#include "ops/scalar.h"

namespace carnot::cuda {

// The type that holds a value of the dtype in CUDA C++: "float" for F16 and BF16 too, which are
// rounded where they are stored or cast to.
std::string valueType(DType dtype);
// The type that holds it in memory: "unsigned short" for F16 and BF16.
std::string memoryType(DType dtype);
// A value of memoryType as one of valueType, and back.
std::string loaded(DType dtype, const std::string& memory);
std::string stored(DType dtype, const std::string& value);

// Why there is no code for the program; nullopt when there is.
std::optional<std::string> refuseScalars(const ScalarProgram& program);

// Statements that compute the program's nodes as constants named `prefix` and the node's number.
// `input` gives the expression that an Input reads.
std::string scalarStatements(const ScalarProgram& program, const std::string& prefix,
                             const std::function<std::string(const ScalarNode&)>& input,
                             const std::string& indent);

// A number of the type as an expression, to the bit.
std::string literal(DType dtype, double value);
std::string literal(DType dtype, int64_t value);

// Functions that the statements call; they come first in every program.
extern const char* const kScalarPrelude;

}  // namespace carnot::cuda
