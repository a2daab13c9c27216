#pragma once

#include "ops/onnx_node.h"

namespace carnot {

// x sigmoid(alpha x).
OnnxNode::Ref emitSwish(OnnxNode& node, OnnxNode::Ref x, double alpha);

}  // namespace carnot
