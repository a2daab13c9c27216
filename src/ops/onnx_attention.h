#pragma once

namespace carnot {

class OnnxNode;

// Attention, with the past before the keys and values where there is one. Soft caps, sliding windows,
// lengths of padded sequences and the scores as an output are refused.
void importAttention(OnnxNode& node);

}  // namespace carnot
