#pragma once

#include <string>
#include <string_view>

#include "engine/engine.h"

namespace carnot {

// What reports call a step's work and what does it: "Conv+Relu" by "cpu/conv/direct"; "If" or
// "Loop" by "bodies".
std::string operatorsOf(const EngineStep& step);
std::string_view kernelOf(const EngineStep& step, int variant = 0);

}  // namespace carnot
