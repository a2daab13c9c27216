#pragma once

namespace carnot {

class OnnxNode;

// BatchNorm; with statistics for each element (spatial = 0, before opset 9) pointwise operators.
// Training mode is refused.
void importBatchNormalization(OnnxNode& node);

}  // namespace carnot
