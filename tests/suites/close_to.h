#pragma once

#include <gtest/gtest.h>

#include "base/tensor.h"

namespace carnot::test {

// Within `tolerance` by relative L2 distance, and ten times that an element; coarser types have
// tolerances of their own, all but floats must be equal.
::testing::AssertionResult closeTo(const Tensor& actual, const Tensor& expected, double tolerance);

}  // namespace carnot::test
