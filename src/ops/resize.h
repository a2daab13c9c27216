#pragma once

#include "ops/operator.h"

namespace carnot {

enum class ResizeMode : uint8_t { Nearest, Linear, Cubic };
constexpr ResizeMode lastOf(ResizeMode) { return ResizeMode::Cubic; }
enum class ResizeCoordinates : uint8_t {
  HalfPixel,
  HalfPixelSymmetric,
  PytorchHalfPixel,
  AlignCorners,
  Asymmetric,
  TfCropAndResize,
  TfHalfPixelForNearest,
};
constexpr ResizeCoordinates lastOf(ResizeCoordinates) { return ResizeCoordinates::TfHalfPixelForNearest; }
enum class ResizeNearest : uint8_t { RoundPreferFloor, RoundPreferCeil, Floor, Ceil };
constexpr ResizeNearest lastOf(ResizeNearest) { return ResizeNearest::Ceil; }

// ONNX Resize. Inputs: x, optional roi [2 * rank] (starts, then ends; used by TfCropAndResize
// alone). Output: of `shape`. An axis' output coordinate maps to the input through `coordinates`
// and its scale.
struct Resize {
  ResizeMode mode = ResizeMode::Nearest;
  ResizeCoordinates coordinates = ResizeCoordinates::HalfPixel;
  ResizeNearest nearest = ResizeNearest::RoundPreferFloor;
  double cubicA = -0.75;
  bool excludeOutside = false;  // cubic: weights outside x count zero and the rest are renormalized
  bool antialias = false;       // widens linear and cubic filters when shrinking
  double extrapolation = 0;     // TfCropAndResize: the value outside x
  std::vector<double> scales = {};  // one an axis; empty: output extent / input extent
  Shape shape = {};                 // the output's

  void visit(auto& fields) {
    fields("mode", mode);
    fields("coordinates", coordinates);
    fields("nearest", nearest);
    fields("cubicA", cubicA);
    fields("excludeOutside", excludeOutside);
    fields("antialias", antialias);
    fields("extrapolation", extrapolation);
    fields("scales", scales);
    fields("shape", shape);
  }
};
template <>
const OpDef& definitionOf<Resize>();

// One axis of a resize as a table: output element i is the sum of its `taps` input elements times
// their weights, or Resize::extrapolation where outside[i].
struct ResizeAxis {
  int64_t taps = 1;
  std::vector<int64_t> elements;  // [output, taps], within the input
  std::vector<double> weights;    // [output, taps]
  std::vector<bool> outside;      // [output]
};
// `roi`: the axis' start and end, fractions of the input.
ResizeAxis resizeAxis(const Resize& resize, size_t axis, int64_t input, int64_t output,
                      double roiStart = 0, double roiEnd = 1);

}  // namespace carnot
