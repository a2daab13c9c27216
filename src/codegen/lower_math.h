#pragma once

#include "ops/scalar.h"

namespace carnot {

// What the machine has beyond plain arithmetic.
struct MathTarget {
  bool ldexp = false;  // ScalarOp::Ldexp in one instruction
};

// The program in operations that processors have: arithmetic, comparisons, selections, shifts,
// bitcasts, rounding, conversions.
//
// - F16 and BF16 are computed as F32; only Inputs, outputs and Casts from and to F32 have the
// types.
// - a * b + c becomes Fma where the product has no other use.
// - Pow by a constant small integer or a half becomes products and square roots.
// - Exp, Log, Erf, Tanh and Sigmoid of F32 become polynomials in F32; the other functions of F32 go
//   through F64, at half the lanes. Largest errors in units in the last place, over all signs and
//   magnitudes (tests/suites/lower_math_test.cpp): 1.0 for Exp and Log, 1.5 for Erf and Tanh, 2.5
//   for Sigmoid; 0.6 for those through F64. Zeros, infinities, NaNs and subnormal numbers follow
//   C99.
// - Functions of F64, and Pow of integers, stay as they are.
//
// The methods are the usual ones: Cody and Waite's reductions ("Software Manual for the Elementary
// Functions", 1980), Payne and Hanek's for large angles (SIGNUM 1983), minimax polynomials from
// tools/derive_math.py.
ScalarProgram lowerMath(const ScalarProgram& program, const MathTarget& target);

}  // namespace carnot
