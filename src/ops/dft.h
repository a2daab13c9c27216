#pragma once

#include "ops/operator.h"

namespace carnot {

// The discrete Fourier transform along an axis. Input: x [..., 1] real or [..., 2] real and
// imaginary. Output: x's shape with `length` elements along the axis, the first length / 2 + 1 of
// them when onesided, and 2 at the end. The inverse of a onesided one takes those and gives the
// `length` real ones, 1 at the end.
struct Dft {
  int64_t axis = 0;  // non-negative, not the last
  Shape length;  // one Dim: x is cut, or extended by zeros, to what the transform takes; or none:
                 // the length that takes all of x
  bool inverse = false;
  bool onesided = false;

  void visit(auto& fields) {
    fields("axis", axis);
    fields("length", length);
    fields("inverse", inverse);
    fields("onesided", onesided);
  }
};
template <>
const OpDef& definitionOf<Dft>();

}  // namespace carnot
