#pragma once

#include "ops/operator.h"

namespace carnot {

enum class GridSampleMode : uint8_t { Linear, Nearest, Cubic };
constexpr GridSampleMode lastOf(GridSampleMode) { return GridSampleMode::Cubic; }
enum class GridSamplePadding : uint8_t { Zeros, Border, Reflection };
constexpr GridSamplePadding lastOf(GridSamplePadding) { return GridSamplePadding::Reflection; }

// Inputs: x [N, C, spatial...], grid [N, outSpatial..., axes] of coordinates in [-1, 1], the last
// spatial axis first. Output: [N, C, outSpatial...].
struct GridSample {
  GridSampleMode mode = GridSampleMode::Linear;
  GridSamplePadding padding = GridSamplePadding::Zeros;
  bool alignCorners =
      false;  // -1 and 1 are the centres of the corner elements, not their outer edges

  void visit(auto& fields) {
    fields("mode", mode);
    fields("padding", padding);
    fields("alignCorners", alignCorners);
  }
};
template <>
const OpDef& definitionOf<GridSample>();

}  // namespace carnot
