#pragma once

#include "ops/operator.h"

namespace carnot {

// ONNX QuantizeLinear. Inputs: x, scale, zero point, which broadcast: scales along an axis or in
// blocks import as tensors of x's rank. Output, of the zero point's type: the quotient x / scale,
// rounded to `precision`; of integers rounded to nearest even, the zero point added, what lies
// outside the type's range its nearest value. NaN becomes the least integer. Floats of 8 bits take
// the quotient as it is.
struct QuantizeLinear {
  DType precision = DType::F32;  // in which x is divided
  bool saturate = true;          // to a float of 8 bits; see Cast

  void visit(auto& fields) {
    fields("precision", precision);
    fields("saturate", saturate);
  }
};
template <>
const OpDef& definitionOf<QuantizeLinear>();

// ONNX DequantizeLinear: (x - zero point) * scale. Inputs: x, scale, zero point of x's type, which
// broadcast as QuantizeLinear's do.
struct DequantizeLinear {
  DType to = DType::F32;

  void visit(auto& fields) { fields("to", to); }
};
template <>
const OpDef& definitionOf<DequantizeLinear>();

}  // namespace carnot
