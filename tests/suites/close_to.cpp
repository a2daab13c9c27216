#include "close_to.h"

#include <algorithm>
#include <cmath>

namespace carnot::test {
namespace {

double toleranceOf(DType dtype, double base) {
  switch (dtype) {
    case DType::F16:
      return std::max(base, 2e-3);
    case DType::BF16:
      return std::max(base, 1.6e-2);
    default:
      return base;
  }
}

}  // namespace

::testing::AssertionResult closeTo(const Tensor& actual, const Tensor& expected, double base) {
  TensorView a = actual.view(), e = expected.view();
  if (!isFloat(expected.dtype())) {
    if (actual.sameBytes(expected)) return ::testing::AssertionSuccess();
    for (int64_t i = 0; i < e.count(); ++i)
      if (isInteger(e.dtype) && a.loadInt(i) != e.loadInt(i))
        return ::testing::AssertionFailure()
               << "element " << i << " is " << a.loadInt(i) << ", not " << e.loadInt(i);
    return ::testing::AssertionFailure() << "bytes differ";
  }
  double tolerance = toleranceOf(expected.dtype(), base);
  double difference = 0, norm = 0;
  int64_t finite = 0;
  for (int64_t i = 0; i < e.count(); ++i) {
    double x = a.loadDouble(i), y = e.loadDouble(i);
    if (!std::isfinite(y) || !std::isfinite(x)) {
      if (x == y || (std::isnan(x) && std::isnan(y))) continue;
      return ::testing::AssertionFailure() << "element " << i << " is " << x << ", not " << y;
    }
    difference += (x - y) * (x - y);
    norm += y * y;
    ++finite;
  }
  double scale = finite ? std::sqrt(norm / static_cast<double>(finite)) : 0;
  for (int64_t i = 0; i < e.count(); ++i) {
    double x = a.loadDouble(i), y = e.loadDouble(i);
    if (std::abs(x - y) > 10 * tolerance * (std::abs(y) + scale) + 1e-30)
      return ::testing::AssertionFailure()
             << "element " << i << " is " << x << ", not " << y << " (rms " << scale << ")";
  }
  if (difference > tolerance * tolerance * norm + 1e-60)
    return ::testing::AssertionFailure() << "relative L2 distance " << std::sqrt(difference / norm);
  return ::testing::AssertionSuccess();
}

}  // namespace carnot::test
