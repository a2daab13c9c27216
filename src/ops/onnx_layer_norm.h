#pragma once

namespace carnot {

class OnnxNode;

// LayerNorm; mean and inverse deviation, where they are used, by reductions beside it.
void importLayerNormalization(OnnxNode& node);

}  // namespace carnot
