#pragma once

#include "ops/operator.h"

namespace carnot {

// Input: x [N, C, spatial...]. Output: (sum over the window of |x|^p)^(1/p).
struct LpPool {
  std::vector<int64_t> kernel = {};
  std::vector<int64_t> strides = {};
  std::vector<int64_t> pads = {};  // begins of every spatial axis, then ends
  std::vector<int64_t> dilations = {};
  bool ceilMode = false;
  int64_t p = 2;

  void visit(auto& fields) {
    fields("kernel", kernel);
    fields("strides", strides);
    fields("pads", pads);
    fields("dilations", dilations);
    fields("ceilMode", ceilMode);
    fields("p", p);
  }
};
template <>
const OpDef& definitionOf<LpPool>();

}  // namespace carnot
