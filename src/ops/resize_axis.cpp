#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "ops/resize.h"

namespace carnot {

namespace {

struct AxisMap {
  ResizeCoordinates coordinates;
  double scale, input;
  double output;  // scale * input, which may be fractional
  double outputCount, roiStart, roiEnd;

  // Where output element i lies among the input's elements.
  double operator()(double i) const {
    switch (coordinates) {
      case ResizeCoordinates::HalfPixel:
        return (i + 0.5) / scale - 0.5;
      case ResizeCoordinates::HalfPixelSymmetric:
        return input / 2 * (1 - outputCount / output) + (i + 0.5) / scale - 0.5;
      case ResizeCoordinates::PytorchHalfPixel:
        return outputCount > 1 ? (i + 0.5) / scale - 0.5 : 0;
      case ResizeCoordinates::AlignCorners:
        return output == 1 ? 0 : i * (input - 1) / (output - 1);
      case ResizeCoordinates::Asymmetric:
        return i / scale;
      case ResizeCoordinates::TfCropAndResize:
        if (output == 1) return 0.5 * (roiStart + roiEnd) * (input - 1);
        return (roiStart + i * (roiEnd - roiStart) / (output - 1)) * (input - 1);
      case ResizeCoordinates::TfHalfPixelForNearest:
        return (i + 0.5) / scale;
    }
    throwInternal("resize coordinates");
  }
};

double nearestElement(ResizeNearest rounding, double at) {
  switch (rounding) {
    case ResizeNearest::RoundPreferFloor:
      return std::ceil(at - 0.5);
    case ResizeNearest::RoundPreferCeil:
      return std::floor(at + 0.5);
    case ResizeNearest::Floor:
      return std::floor(at);
    case ResizeNearest::Ceil:
      return std::ceil(at);
  }
  throwInternal("resize rounding");
}

// R. Keys, "Cubic convolution interpolation for digital image processing", 1981.
double cubicWeight(double distance, double a) {
  const double x = std::abs(distance);
  if (x <= 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  if (x < 2) return ((a * x - 5 * a) * x + 8 * a) * x - 4 * a;
  return 0;
}

int64_t clampElement(double element, int64_t extent) {
  if (!(element > 0)) return 0;
  return element < static_cast<double>(extent) ? static_cast<int64_t>(element) : extent - 1;
}

}  // namespace

ResizeAxis resizeAxis(const Resize& resize, size_t axis, int64_t input, int64_t output,
                      double roiStart, double roiEnd) {
  const auto extent = static_cast<double>(input), count = static_cast<double>(output);
  const double scale = resize.scales.empty() ? count / extent : resize.scales[axis];
  const AxisMap map{resize.coordinates, scale, extent, scale * extent, count, roiStart, roiEnd};
  const bool crop = resize.coordinates == ResizeCoordinates::TfCropAndResize;
  const bool nearest = resize.mode == ResizeMode::Nearest;
  const bool linear = resize.mode == ResizeMode::Linear;
  // A filter reaches `radius` elements to each side, more when it is widened to shrink.
  const double widen = resize.antialias && !nearest ? std::min(scale, 1.0) : 1.0;
  const double radius = (linear ? 1 : 2) / widen;
  const auto first = static_cast<int64_t>(std::floor(-radius)) + 1;
  const bool same = !crop && scale == 1 && input == output;

  if (input == 0 && output > 0)
    throw Error(ErrorCode::InvalidArgument, "a resize of an axis without elements",
                "at least one element");
  ResizeAxis table;
  table.taps = nearest || same ? 1 : 2 - 2 * first;
  for (int64_t i = 0; i < output; ++i) {
    const double at = same ? static_cast<double>(i) : map(static_cast<double>(i));
    table.outside.push_back(crop && (at < 0 || at > extent - 1));
    if (table.taps == 1) {
      const double element = same ? at : nearestElement(resize.nearest, at);
      table.elements.push_back(clampElement(element, input));
      table.weights.push_back(1);
      continue;
    }
    // The element left of `at`, strictly: ties of the window go to the lower element.
    const double base = std::ceil(at) - 1;
    const size_t start = table.weights.size();
    double sum = 0;
    for (int64_t tap = first; tap < first + table.taps; ++tap) {
      const double element = base + static_cast<double>(tap), distance = (element - at) * widen;
      double weight =
          linear ? std::max(0.0, 1 - std::abs(distance)) : cubicWeight(distance, resize.cubicA);
      if (resize.excludeOutside && (element < 0 || element >= extent)) weight = 0;
      table.elements.push_back(clampElement(element, input));
      table.weights.push_back(weight);
      sum += weight;
    }
    if ((resize.excludeOutside || widen < 1) && sum != 0)
      for (size_t w = start; w < table.weights.size(); ++w) table.weights[w] /= sum;
  }
  return table;
}

}  // namespace carnot
