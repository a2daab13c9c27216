#pragma once

#include <memory>
#include <optional>
#include <string>

#include "codegen/cpu/loop_function.h"

namespace carnot {

// Why there is no machine code for the loop, or nullopt.
std::optional<std::string> refuseMachineCode(const Loop& loop, IsaSet isa);
// Elements in a vector of the loop's code.
int loopLanes(const Loop& loop, IsaSet isa);
std::shared_ptr<const LoopFunction> compileLoop(const Loop& loop, const LoopShape::Variant& variant,
                                                IsaSet isa);

}  // namespace carnot
