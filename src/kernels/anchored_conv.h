#pragma once

#include <variant>
#include <vector>

#include "kernels/kernel.h"
#include "ops/region.h"

namespace carnot {

// A region that is a convolution, perhaps transposed, with pointwise steps behind it that keep its
// shape: what kernels that take any such tail look at.
struct AnchoredConv {
  bool transposed = false;
  int x = 0, w = 0, bias = -1;  // inputs of the region
  int64_t group = 1;
  std::vector<int64_t> strides, dilations, padsBegin, padsEnd;  // by spatial axis
  DType dtype = DType::F32, out = DType::F32;                   // of x, of the result
  ScalarProgram tail;         // Input 0: the convolution with its bias; empty: nothing behind
  std::vector<int> operands;  // inputs of the region, as the tail's further Inputs

  size_t rank() const { return strides.size() + 2; }  // of x and the result
};

// Types, dims and what stands in the tail are for the kernel to look at.
std::variant<Refusal, AnchoredConv> anchoredConv(const Problem& problem);

}  // namespace carnot
