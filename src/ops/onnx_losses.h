#pragma once

#include "ops/onnx_node.h"

namespace carnot {

// Minus the log-probability [N, C, d...] of each target class [N, d...], weighed by class and
// reduced as the attributes say.
void importNegativeLogLikelihoodLoss(OnnxNode& node);
// The same of scores, with the log-probabilities as output 1.
void importSoftmaxCrossEntropyLoss(OnnxNode& node);

}  // namespace carnot
