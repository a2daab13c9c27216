#include "ops/onnx_layer_norm.h"

#include <numeric>

#include "ops/cast.h"
#include "ops/layer_norm.h"
#include "ops/onnx_axes.h"
#include "ops/pointwise_binary.h"
#include "ops/pointwise_unary.h"
#include "ops/reduce.h"

namespace carnot {

void importLayerNormalization(OnnxNode& node) {
  const OnnxNode::Ref x = node.requireInput(0);
  const size_t rank = node.rankOf(x);
  const LayerNorm norm{.axis = importAxis(node, "axis", -1, rank),
                       .epsilon = node.attributeFloat("epsilon", 1e-5)};
  std::vector<OnnxNode::Ref> inputs = {x, node.requireInput(1)};
  if (node.hasInput(2)) inputs.push_back(node.input(2));
  node.setOutput(0, node.emit(Operator::of(norm), inputs));
  if (!node.outputUsed(1) && !node.outputUsed(2)) return;

  const DType stash = node.attributeDType("stash_type", DType::F32);
  const OnnxNode::Ref wide =
      node.dtypeOf(x) == stash ? x : node.emit(Operator::of(Cast{.to = stash}), {x});
  std::vector<int64_t> axes(rank - static_cast<size_t>(norm.axis));
  std::iota(axes.begin(), axes.end(), norm.axis);
  const Operator meanOf = Operator::of(Reduce{ReduceKind::Mean, axes, true});
  const OnnxNode::Ref mean = node.emit(meanOf, {wide});
  node.setOutput(1, mean);
  if (!node.outputUsed(2)) return;
  const OnnxNode::Ref centred = node.emit(Operator::of(Sub{}), {wide, mean});
  OnnxNode::Ref variance = node.emit(meanOf, {node.emit(Operator::of(Mul{}), {centred, centred})});
  variance = node.emit(Operator::of(Add{}), {variance, scalarLike(node, variance, norm.epsilon)});
  node.setOutput(
      2, node.emit(Operator::of(Reciprocal{}), {node.emit(Operator::of(Sqrt{}), {variance})}));
}

}  // namespace carnot
