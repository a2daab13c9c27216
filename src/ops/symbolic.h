#pragma once

#include "ops/operator.h"

namespace carnot {

// Integers or Bools that follow from the shapes alone, known as expressions of the shape's symbols.
// No inputs. The runtime computes the output whenever shapes are set; no kernel does.
struct Symbolic {
  Shape values;               // row-major
  std::vector<int64_t> dims;  // of the output; as many elements as values
  DType dtype = DType::I64;   // an integer type or Bool

  void visit(auto& fields) {
    fields("values", values);
    fields("dims", dims);
    fields("dtype", dtype);
  }
};
template <>
const OpDef& definitionOf<Symbolic>();

}  // namespace carnot
