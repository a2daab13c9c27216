#pragma once

#include "ops/onnx_node.h"

namespace carnot {

// Pairs of each head's elements turned by the angles of their positions.
void importRotaryEmbedding(OnnxNode& node);

}  // namespace carnot
