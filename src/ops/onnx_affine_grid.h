#pragma once

namespace carnot {

class OnnxNode;

// Sums of products over broadcast dims.
void importAffineGrid(OnnxNode& node);

}  // namespace carnot
