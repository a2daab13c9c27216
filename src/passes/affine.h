#pragma once

#include <optional>
#include <vector>

#include "ir/graph.h"

namespace carnot {

// An integer tensor whose elements follow from where they stand:
// offset + sum over the axes of steps[axis] * index[axis].
struct Affine {
  Dim offset;
  std::vector<Dim> steps;  // one an axis; 0 along an axis of one element
};

// Looks through Range, sums, products by numbers and views; nullopt for anything else.
std::optional<Affine> affineOf(const Value* value);

// How many, when the tensor holds the integers from affine.offset on in row-major order.
std::optional<Dim> countingUp(const Affine& affine, const Shape& shape);

}  // namespace carnot
