#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "ir/graph.h"

namespace carnot::test {

// Values of the symbols in the inputs' dims: small and all different, in order of appearance.
std::map<std::string, int64_t> symbolValues(const Graph& graph);

// Seeded contents for every input: floats in [-2, 2), Bools, integers in [0, 3).
std::vector<Tensor> randomInputs(const Graph& graph, const std::map<std::string, int64_t>& symbols);

// Runs every node's reference in order. Gives the graph's outputs, then what its states become,
// which begin with contents of their own.
std::vector<Tensor> evaluateGraph(const Graph& graph, std::span<const Tensor> inputs,
                                  const std::map<std::string, int64_t>& symbols);

// The relative error in the 2-norm; infinite when types, dims or integers differ. Elements that are
// not finite must agree exactly, or both be NaN.
double relativeError(const Tensor& has, const Tensor& wanted);

}  // namespace carnot::test
