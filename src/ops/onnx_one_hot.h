#pragma once

namespace carnot {

class OnnxNode;

void importOneHot(OnnxNode& node);
// One at the first of the largest elements along the axis, else zero.
void importHardmax(OnnxNode& node);

}  // namespace carnot
