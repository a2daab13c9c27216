#pragma once

#include "ops/operator.h"

namespace carnot {

// Regions of images, each sampled to one size. Inputs: x [N, C, H, W], regions [R, 4] as x1, y1,
// x2, y2, images int64 or int32 [R]: the batch of each. Output: [R, C, height, width]. Between
// elements values are linear.
struct RoiAlign {
  int64_t height = 1, width = 1;
  int64_t samples = 0;    // of a bin along each axis; 0: as many as it has elements, rounded up
  double scale = 1;       // from coordinates of regions to those of x
  bool maximum = false;   // the greatest weighted corner of the samples, else their mean
  bool halfPixel = true;  // elements' centres lie at halves; else regions span at least 1

  void visit(auto& fields) {
    fields("height", height);
    fields("width", width);
    fields("samples", samples);
    fields("scale", scale);
    fields("maximum", maximum);
    fields("halfPixel", halfPixel);
  }
};
template <>
const OpDef& definitionOf<RoiAlign>();

}  // namespace carnot
