#pragma once

#include "ops/onnx_node.h"
#include "ops/scatter_nd.h"

namespace carnot {

// What the scattering operators share.

// Element j of `to` meets element i of `updates`.
void scatterElement(ScatterReduction reduction, const TensorView& updates, int64_t i,
                    const TensorView& to, int64_t j);
void copyTensor(const TensorView& from, const TensorView& to);
// Attribute "reduction".
ScatterReduction importReduction(const OnnxNode& node);

}  // namespace carnot
