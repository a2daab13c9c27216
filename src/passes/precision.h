#pragma once

#include <carnot/precision.h>

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "passes/sensitive.h"

namespace carnot {

class Graph;

// What layers of float32 may become.
struct PrecisionOptions {
  DType half = DType::F32;  // F16 or BF16: the type that layers may compute in; F32: none
  // By ONNX node, whatever `half` says. Types other than float32 and those of 16 bits ask nothing.
  std::map<std::string, LayerPrecision, std::less<>> layers;
  SensitiveLayers sensitive = {};  // stay in float32, unless `layers` asks for another type
};

// Layers, conversions left out, by what they compute in.
struct PrecisionReport {
  size_t half = 0;  // a float type of 16 bits
  size_t float32 = 0;
  struct Kept {
    std::string reason;
    std::vector<std::string> nodes;
  };
  std::vector<Kept> kept;  // the float32 ones by reason
};
PrecisionReport reportPrecision(const Graph& graph, const PrecisionOptions& options);

// What was asked of layers and is not so: "Conv_0 (Conv) computes in float32, not float16".
std::vector<std::string> unmetPrecisions(const Graph& graph, const PrecisionOptions& options);

}  // namespace carnot
