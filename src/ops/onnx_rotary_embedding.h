#pragma once

#include "ops/onnx_node.h"

namespace carnot {

// Turns the first `turned` elements of each head of x by the angle of its position. x
// [batch, sequence, heads, d] (headAxis 2) or [batch, heads, sequence, d] (headAxis 1); cosines and
// sines [batch or 1, sequence, turned / 2]. The elements of a pair lie side by side (interleaved)
// or turned / 2 apart.
struct RotaryCall {
  OnnxNode::Ref x, cosines, sines;
  int64_t headAxis = 2;
  int64_t turned = 0;
  bool interleaved = false;
};
// Rows of a table [positions, half] for positions [batch or 1, sequence].
OnnxNode::Ref rowsOf(OnnxNode& node, OnnxNode::Ref table, OnnxNode::Ref positions);
OnnxNode::Ref emitRotary(OnnxNode& node, const RotaryCall& call);

// RotaryEmbedding of ai.onnx, and of com.microsoft, whose positions are input 1.
void importRotaryEmbedding(OnnxNode& node);
void importMicrosoftRotaryEmbedding(OnnxNode& node);

}  // namespace carnot
