#pragma once

#include "ops/operator.h"

namespace carnot {

// Of boxes [batches, boxes, 4] with scores [batches, classes, boxes] those that overlap no better
// one of their class: rows of [batch, class, box], best first within a class. Further inputs, each
// one element, absent ones 0: the most boxes of a class (int64), the intersection over union from
// which on boxes overlap too much, the score that a box must exceed (if present).
struct NonMaxSuppression {
  bool centers = false;  // boxes are [x, y, width, height] of their centers, not two corners [y, x]

  void visit(auto& fields) { fields("centers", centers); }
};
template <>
const OpDef& definitionOf<NonMaxSuppression>();

}  // namespace carnot
