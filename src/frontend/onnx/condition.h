#pragma once

#include <optional>
#include <string>

#include "ir/graph.h"

namespace carnot::onnx {

// A condition as an expression of dims, 0 or 1; nullopt where other data decide.
std::optional<Dim> truthOf(const Value* condition);

// What the dims must be for a condition that has a truth to come out so; `what` says why.
Guard guardOf(const Value* condition, bool holds, std::string what);

// Whether guards tell already how the condition comes out.
std::optional<bool> decidedBy(const std::vector<Guard>& guards, const Value* condition);

}  // namespace carnot::onnx
