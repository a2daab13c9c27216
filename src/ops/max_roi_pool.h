#pragma once

#include "ops/operator.h"

namespace carnot {

// The greatest element of each bin of regions of images. Inputs: x [N, C, H, W], regions [R, 5] as
// image, x1, y1, x2, y2, whose corners both belong to the region. Output: [R, C, height, width]; 0
// for a bin outside the image.
struct MaxRoiPool {
  int64_t height = 1, width = 1;
  double scale = 1;  // from coordinates of regions to those of x

  void visit(auto& fields) {
    fields("height", height);
    fields("width", width);
    fields("scale", scale);
  }
};
template <>
const OpDef& definitionOf<MaxRoiPool>();

}  // namespace carnot
