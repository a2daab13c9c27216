#pragma once

#include "ops/operator.h"

namespace carnot {

// Input: x [N, C, spatial...]. Outputs: the window's maximum, and optionally its index (int64) in
// the flattened x: row-major, or with the spatial axes in column-major order when storageOrder
// is 1. Padding never wins; a window wholly in the padding gives the type's lowest value and index
// -1.
struct MaxPool {
  std::vector<int64_t> kernel = {};
  std::vector<int64_t> strides = {};
  std::vector<int64_t> pads = {};  // begins of every spatial axis, then ends
  std::vector<int64_t> dilations = {};
  bool ceilMode = false;
  int64_t storageOrder = 0;

  void visit(auto& fields) {
    fields("kernel", kernel);
    fields("strides", strides);
    fields("pads", pads);
    fields("dilations", dilations);
    fields("ceilMode", ceilMode);
    fields("storageOrder", storageOrder);
  }
};
template <>
const OpDef& definitionOf<MaxPool>();

}  // namespace carnot
