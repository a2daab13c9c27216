#pragma once

namespace carnot {

class OnnxNode;

// Slice and Pad.
void importCenterCropPad(OnnxNode& node);

}  // namespace carnot
