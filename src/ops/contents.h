#pragma once

#include <initializer_list>
#include <vector>

#include "base/threads.h"
#include "ops/operator.h"

namespace carnot {

// Sets an output's contents if it is an integer or Bool tensor of as many elements, few enough to
// follow.
void setContents(InferContext& context, size_t output, std::vector<Dim> contents);

// Carries contents through an operator that only moves elements of its inputs `data` to output 0:
// runs its reference on the elements' numbers. Does nothing unless the outputs' shape is constant,
// the contents of `data` are known and every other input holds constants.
void moveContents(InferContext& context, std::initializer_list<size_t> data,
                  FunctionRef<void(const ReferenceContext&)> reference);

}  // namespace carnot
