#pragma once

#include <vector>

#include "ops/operator.h"

namespace carnot {

// What nodes with bodies say of their outputs; the runtime carries them out. Fields as in found.h.
struct ControlIf {
  std::vector<int64_t> types, ranks, dims;

  void visit(auto& fields) {
    fields("types", types);
    fields("ranks", ranks);
    fields("dims", dims);
  }
};
struct ControlLoop {
  std::vector<int64_t> types, ranks, dims;

  void visit(auto& fields) {
    fields("types", types);
    fields("ranks", ranks);
    fields("dims", dims);
  }
};
template <>
const OpDef& definitionOf<ControlIf>();
template <>
const OpDef& definitionOf<ControlLoop>();

}  // namespace carnot
