#pragma once

namespace carnot {

class OnnxNode;

// Attention, with the past before the keys and values where there is one.
void importAttention(OnnxNode& node);
// ai.onnx.preview.FlexAttention: its two graphs imported in place.
void importFlexAttention(OnnxNode& node);

}  // namespace carnot
