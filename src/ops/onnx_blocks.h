#pragma once

namespace carnot {

class OnnxNode;

// Blocks of pixels to channels and back: a Reshape, a Transpose and a Reshape.
void importDepthToSpace(OnnxNode& node);
void importSpaceToDepth(OnnxNode& node);

}  // namespace carnot
