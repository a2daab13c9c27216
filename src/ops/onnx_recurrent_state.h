#pragma once

#include "ops/onnx_node.h"

namespace carnot {

// What decoders carry from step to step.

// A depthwise convolution over the state's positions and the input's, with the next state.
void importCausalConvWithState(OnnxNode& node);
// A cache with the update written at each sample's index.
void importTensorScatter(OnnxNode& node);

}  // namespace carnot
