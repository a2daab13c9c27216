#pragma once

// Inside lower_math: functions of F32 values as primitives.

#include <initializer_list>

#include "codegen/lower_math.h"

namespace carnot::lowered {

// Coefficients highest first.
ScalarValue horner(ScalarValue x, std::initializer_list<double> coefficients);
// Min and Max that give x when x is NaN.
ScalarValue atMost(ScalarValue x, double bound);
ScalarValue atLeast(ScalarValue x, double bound);
ScalarValue unary(ScalarOp op, ScalarValue x);
ScalarValue binary(ScalarOp op, ScalarValue x, ScalarValue y);
ScalarValue select(ScalarValue condition, ScalarValue x, ScalarValue y);
ScalarValue fma(ScalarValue x, ScalarValue y, ScalarValue z);
ScalarValue fma(ScalarValue x, double y, ScalarValue z);
ScalarValue fma(ScalarValue x, ScalarValue y, double z);
ScalarValue isLess(ScalarValue x, double y);
// |x| with the sign of y.
ScalarValue withSign(ScalarValue x, ScalarValue y);

// F32 in F32.
ScalarValue exp(ScalarValue x, const MathTarget& target);
// 2^x for x up to 127; 0 below -160.
ScalarValue powerOfTwo(ScalarValue x, const MathTarget& target);
ScalarValue log(ScalarValue x);
ScalarValue erf(ScalarValue x, const MathTarget& target);
ScalarValue tanh(ScalarValue x, const MathTarget& target);
ScalarValue sigmoid(ScalarValue x, const MathTarget& target);

// F32 through F64: Pow, Sin to Atanh.
ScalarValue throughDouble(ScalarOp op, ScalarValue x, const MathTarget& target);
ScalarValue pow(ScalarValue x, ScalarValue y, const MathTarget& target);

}  // namespace carnot::lowered
