#pragma once

namespace carnot {

class OnnxNode;

// Sums of products by index letters, as NumPy's einsum: operands meet two by two in matrix products.
void importEinsum(OnnxNode& node);

}  // namespace carnot
