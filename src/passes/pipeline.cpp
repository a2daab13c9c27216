#include "passes/passes.h"

namespace carnot {

std::span<const Pass> allPasses() {
  using enum Pass::Role;
  static const Pass kPasses[] = {
      {"fold-constants", Phase::Normalize,
       "runs what has only constant operands, by the operators' references", foldConstants},
      {"fold-shapes", Phase::Normalize,
       "replaces tensors that follow from the shapes by constants and Symbolic", foldShapes},
      {"canonical-operands", Phase::Normalize,
       "puts constants second; differences from constants are sums, exact quotients products",
       canonicalOperands},
      {"rewrite-powers", Phase::Normalize, "products and roots for Pow", rewritePowers},
      {"expand-batch-norm", Phase::Normalize, "a product and a sum by channel for BatchNorm",
       expandBatchNorm, Fusing},
      {"absorb-moves", Phase::Normalize, "Transpose into MatMul, Pad into Conv", absorbMoves,
       Fusing},

      {"cancel-identities", Phase::Simplify,
       "removes nodes that give an operand back: x + 0, x * 1, a Reshape to the same dims",
       cancelIdentities},
      {"merge-moves", Phase::Simplify,
       "one Reshape, Transpose, Expand, Cast or Concat for a chain; a view where nothing moves",
       mergeMoves},
      {"drop-expand", Phase::Simplify, "lets operators broadcast by themselves", dropExpand},
      {"index-arithmetic", Phase::Simplify,
       "a slice for a Gather that takes neighbours in order; comparisons of ranges that are "
       "decided",
       indexArithmetic},
      {"merge-constants", Phase::Simplify, "one constant for (x + a) + b and (x * a) * b",
       mergeConstants, Fusing},
      {"fold-scale", Phase::Simplify,
       "factors and summands by channel into the weights of Conv, ConvTranspose, MatMul", foldScale,
       Fusing},
      {"merge-convolutions", Phase::Simplify,
       "one convolution for a 1 x 1 and the one behind it, where that is less work",
       mergeConvolutions, Fusing},
      {"merge-products", Phase::Simplify,
       "one batched product for those of one tensor by weights of one shape, on a GPU",
       mergeProducts, Fusing},
      {"split-products", Phase::Simplify,
       "one batched product where a Transpose brings parts of the columns to the front, on a GPU",
       splitProducts, Fusing},
      {"move-rows", Phase::Simplify, "transposes to where others take them over, on a GPU",
       moveRows},
      {"recognize-activations", Phase::Simplify,
       "Relu, Sigmoid, Silu, Gelu, HardSwish and their like out of arithmetic",
       recognizeActivations, Fusing},
      {"recognize-norms", Phase::Simplify, "LayerNorm and RmsNorm out of means and roots",
       recognizeNorms, Fusing},
      {"recognize-attention", Phase::Simplify,
       "Attention out of products around a softmax, with scale and mask", recognizeAttention,
       Fusing},
      {"share-equal", Phase::Simplify, "one node for all that do the same on the same operands",
       shareEqualNodes},
      {"drop-dead", Phase::Simplify, "removes nodes that nothing uses", dropDeadNodes},

      {"half-precision", Phase::Precision,
       "computes in float16 or bfloat16 where that is allowed and safe, or asked for",
       halfPrecision},

      {"fuse-attention", Phase::Fuse,
       "regions of Attention with the transposes that bring its rows and take them away",
       fuseAttention, Fusing},
      {"fuse-windows", Phase::Fuse,
       "regions of convolutions, products, pools and attention with their pointwise tails",
       fuseWindows, Fusing},
      {"fuse-reductions", Phase::Fuse,
       "regions of softmax, norms and reductions with the pointwise nodes around them",
       fuseReductions, Fusing},
      {"fuse-pointwise", Phase::Fuse, "regions of connected pointwise nodes of one shape",
       fusePointwise, Fusing},
      {"wrap-operators", Phase::Fuse, "a region of its own for every other operator", wrapOperators,
       Required},
  };
  return kPasses;
}

}  // namespace carnot
