#pragma once

#include "ops/operator.h"

namespace carnot {

// Input: x [N, C, spatial...]. Output: each window's sum over its count of elements. The count is
// of elements inside x, or with countIncludePad of elements inside x and its pads; what a window in
// ceil mode spans beyond the pads never counts. A count of zero gives zero.
struct AveragePool {
  std::vector<int64_t> kernel = {};
  std::vector<int64_t> strides = {};
  std::vector<int64_t> pads = {};  // begins of every spatial axis, then ends
  std::vector<int64_t> dilations = {};
  bool ceilMode = false;
  bool countIncludePad = false;

  void visit(auto& fields) {
    fields("kernel", kernel);
    fields("strides", strides);
    fields("pads", pads);
    fields("dilations", dilations);
    fields("ceilMode", ceilMode);
    fields("countIncludePad", countIncludePad);
  }
};
template <>
const OpDef& definitionOf<AveragePool>();

}  // namespace carnot
