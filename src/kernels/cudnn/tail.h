#pragma once

#include <span>
#include <string>
#include <variant>

#include "kernels/cudnn/graph.h"
#include "ops/scalar.h"

namespace carnot::cuda {

// Why cuDNN has no operations for a pointwise program on floats; empty: it has.
std::string refuseTail(const ScalarProgram& program);

// Adds the program to a graph: Input i is tensor inputs[i], the only output is written to `result`.
// Values in between have its dims and strides. Requires that refuseTail does not refuse and that
// the output is not an Input.
void addTail(CudnnGraph& graph, const ScalarProgram& program, std::span<const int> inputs,
             int result);

}  // namespace carnot::cuda
