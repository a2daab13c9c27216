#pragma once

#include <cstdint>
#include <map>
#include <string>

namespace carnot {

class Graph;

// ONNX nodes and why they are better left in float32.
using SensitiveLayers = std::map<std::string, std::string, std::less<>>;

// What the rest may be rounded to.
enum class Rounding : uint8_t { Tf32, Half };

// Convolutions that lose more by operands of ten bits of mantissa than they gain: those by channel
// and those with a result of one pixel, which tensor cores do not speed up, and those at the
// beginning of a long chain, whose errors each later convolution may amplify. From a graph of
// operators whose shapes are inferred; its nodes' bodies are left out.
SensitiveLayers sensitiveLayers(const Graph& graph, Rounding rounding);

}  // namespace carnot
