#pragma once

#include <optional>
#include <vector>

#include "frontend/onnx/node_view.h"

namespace carnot {

// A node whose mapping must see operands that are computed at run time, as one operator that
// imports it then (ops/deferred.h). Nullopt where that would not help: its mapping fails whatever
// small operands hold, or nothing tells the outputs' ranks.
std::optional<std::vector<Value*>> deferNode(GraphMaker& maker, OnnxTensorLoader& tensors,
                                             const NodeView::Given& given,
                                             const OnnxMapping& mapping);

}  // namespace carnot
