#pragma once

#include "ops/operator.h"

namespace carnot {

// Adds columns of blocks up to images: what Im2Col takes apart, put together. Input: x [N, C *
// product(block), positions], positions row-major. Output: [N, C, image...].
struct Col2Im {
  Shape image;                                                   // the spatial dims
  std::vector<int64_t> block = {};                               // of a window
  std::vector<int64_t> strides = {}, pads = {}, dilations = {};  // pads: begins, then ends

  void visit(auto& fields) {
    fields("image", image);
    fields("block", block);
    fields("strides", strides);
    fields("pads", pads);
    fields("dilations", dilations);
  }
};
template <>
const OpDef& definitionOf<Col2Im>();

}  // namespace carnot
