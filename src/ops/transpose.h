#pragma once

#include "ops/operator.h"

namespace carnot {

// Output axis i is input axis perm[i].
struct Transpose {
  std::vector<int64_t> perm = {};

  void visit(auto& fields) { fields("perm", perm); }
};
template <>
const OpDef& definitionOf<Transpose>();

}  // namespace carnot
