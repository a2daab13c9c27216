#pragma once

#include "ops/onnx_node.h"

namespace carnot {

// Windows of `size` weights from a sum of cosines: HannWindow, HammingWindow, BlackmanWindow.
void importHannWindow(OnnxNode& node);
void importHammingWindow(OnnxNode& node);
void importBlackmanWindow(OnnxNode& node);
// Triangles over a spectrogram's bins, evenly spaced in mels; a constant.
void importMelWeightMatrix(OnnxNode& node);

}  // namespace carnot
