#pragma once

namespace carnot {

class OnnxNode;

// alpha * A' B' + beta * C: a MatMul, and a Mul or an Add where needed.
void importGemm(OnnxNode& node);

}  // namespace carnot
