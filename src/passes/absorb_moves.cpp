#include <algorithm>

#include "ops/conv.h"
#include "ops/mat_mul.h"
#include "ops/pad.h"
#include "ops/transpose.h"
#include "passes/match.h"
#include "passes/passes.h"

namespace carnot {

namespace {

bool swapsLastTwo(const Transpose& transpose) {
  const size_t rank = transpose.perm.size();
  if (rank < 2) return false;
  for (size_t axis = 0; axis < rank; ++axis) {
    const size_t wanted = axis + 2 < rank ? axis : 2 * rank - 3 - axis;
    if (transpose.perm[axis] != static_cast<int64_t>(wanted)) return false;
  }
  return true;
}

Proposal absorbTranspose(Node* node) {
  MatMul product = *node->as<MatMul>();
  std::vector<Patch::Ref> operands(node->inputs.begin(), node->inputs.end());
  bool any = false;
  for (size_t i = 0; i < 2; ++i) {
    const Node* move = producerAs<Transpose>(node->inputs[i]);
    if (!move || !swapsLastTwo(*move->as<Transpose>())) continue;
    bool& flag = i == 0 ? product.transposeA : product.transposeB;
    flag = !flag;
    operands[i] = move->inputs[0];
    any = true;
  }
  if (!any) return std::nullopt;
  Patch patch("transpose into MatMul", node);
  patch.replace(node->outputs[0], patch.add(Operator::of(product), std::move(operands)));
  return patch;
}

// Zeros around the spatial axes only.
std::optional<std::vector<int64_t>> spatialZeroPads(const Node* pad) {
  if (pad->as<Pad>()->mode != PadMode::Constant) return std::nullopt;
  if (pad->inputs.size() > 2 && pad->inputs[2] && scalarOf(pad->inputs[2]) != 0)
    return std::nullopt;
  const auto& contents = pad->inputs[1]->contents;
  if (!contents) return std::nullopt;
  const size_t rank = contents->size() / 2;
  std::vector<int64_t> pads;
  for (size_t i = 0; i < contents->size(); ++i) {
    std::optional<int64_t> amount = (*contents)[i].tryConstant();
    if (!amount || *amount < 0 || (i % rank < 2 && *amount != 0)) return std::nullopt;
    if (i % rank >= 2) pads.push_back(*amount);
  }
  return pads;
}

Proposal absorbPad(Node* node) {
  const Node* pad = producerAs<Pad>(node->inputs[0]);
  if (!pad) return std::nullopt;
  std::optional<std::vector<int64_t>> pads = spatialZeroPads(pad);
  Conv conv = *node->as<Conv>();
  if (!pads || pads->size() != conv.pads.size()) return std::nullopt;
  for (size_t i = 0; i < pads->size(); ++i) conv.pads[i] += (*pads)[i];
  std::vector<Patch::Ref> inputs(node->inputs.begin(), node->inputs.end());
  inputs[0] = pad->inputs[0];
  Patch patch("pad into Conv", node);
  patch.replace(node->outputs[0], patch.add(Operator::of(std::move(conv)), std::move(inputs)));
  return patch;
}

}  // namespace

// What an operator can do while it reads its operand: transposes of a product, zeros around a
// convolution.
Proposal absorbMoves(const Graph&, Node* node, const PassOptions&) {
  if (node->as<MatMul>()) return absorbTranspose(node);
  if (node->as<Conv>()) return absorbPad(node);
  return std::nullopt;
}

}  // namespace carnot
