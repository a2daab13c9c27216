#pragma once

#include <memory>

#include "codegen/cpu/loop_function.h"

namespace carnot {

// The loop one primitive at a time over blocks of elements: portable C++, for every operation and
// for every real type that takes whole bytes.
std::shared_ptr<const LoopFunction> interpretLoop(const Loop& loop,
                                                  const LoopShape::Variant& variant);

}  // namespace carnot
