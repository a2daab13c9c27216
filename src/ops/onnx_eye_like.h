#pragma once

namespace carnot {

class OnnxNode;

// Ones on the k-th diagonal: row number + k compared with column number.
void importEyeLike(OnnxNode& node);

}  // namespace carnot
