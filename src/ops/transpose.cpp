#include "ops/transpose.h"

#include <numeric>

#include "base/error.h"
#include "ops/contents.h"
#include "ops/define.h"
#include "ops/elements.h"
#include "ops/onnx_node.h"

namespace carnot {

static void reference(const Transpose& transpose, const ReferenceContext& context) {
  const TensorView &x = context.in(0), &y = context.out(0);
  const std::vector<int64_t> strides = rowMajorStrides(x.dims);
  std::vector<int64_t> moved;
  moved.reserve(strides.size());
  for (int64_t axis : transpose.perm) moved.push_back(strides[static_cast<size_t>(axis)]);
  int64_t out = 0;
  forEachIndex(y.dims,
               [&](std::span<const int64_t> at) { copyElement(x, offsetOf(at, moved), y, out++); });
}

static void infer(const Transpose& transpose, InferContext& context) {
  const Shape& x = context.shape(0);
  std::vector<bool> seen(x.rank(), false);
  bool permutes = transpose.perm.size() == x.rank();
  for (int64_t axis : transpose.perm) {
    permutes = permutes && axis >= 0 && axis < static_cast<int64_t>(x.rank()) &&
               !seen[static_cast<size_t>(axis)];
    if (permutes) seen[static_cast<size_t>(axis)] = true;
  }
  context.require(permutes, fmt::format("perm {}", fieldToString(transpose.perm)),
                  fmt::format("each axis of {} once", x.toString()));
  Shape out;
  for (int64_t axis : transpose.perm) out.push(x[static_cast<size_t>(axis)]);
  context.setOutput(0, context.dtype(0), std::move(out));
  moveContents(context, {0}, [&](const ReferenceContext& run) { reference(transpose, run); });
}

static Cost cost(const Transpose&, const CostContext& context) {
  return {.flops = 0, .bytes = context.allBytes()};
}

static void importTranspose(OnnxNode& node) {
  const OnnxNode::Ref x = node.requireInput(0);
  std::vector<int64_t> perm = node.attributeInts("perm");
  if (perm.empty()) {
    perm.resize(node.rankOf(x));
    std::iota(perm.rbegin(), perm.rend(), 0);
  }
  node.setOutput(0, node.emit(Operator::of(Transpose{std::move(perm)}), {x}));
}

template <>
const OpDef& definitionOf<Transpose>() {
  static const OpDef kRow = defineOperator<Transpose>("Transpose", Access::Permute,
                                                      {{"", "Transpose", 1, 0, importTranspose}});
  return kRow;
}

}  // namespace carnot
