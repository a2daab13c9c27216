#include "ops/unique.h"

#include <algorithm>
#include <numeric>

#include "base/error.h"
#include "ops/define.h"
#include "ops/elements.h"
#include "ops/onnx_axes.h"
#include "ops/requirements.h"

namespace carnot {

static void infer(const Unique& unique, InferContext& context) {
  requireAxis(context, unique.axis);
  Shape out = context.shape(0);
  Dim& extent = out[static_cast<size_t>(unique.axis)];
  const Dim all = extent;
  extent = context.freshSymbol("unique", all);
  const Dim count = extent;
  context.setOutput(0, context.dtype(0), std::move(out));
  for (size_t i = 1; i < context.outputs.size(); ++i)
    context.setOutput(i, DType::I64, {i == 2 ? all : count});
}

static void reference(const Unique& unique, const ReferenceContext& context) {
  const TensorView& x = context.in(0);
  const auto axis = static_cast<size_t>(unique.axis);
  const AxisSplit split = splitAt(x.dims, axis);
  auto at = [&](int64_t slice, int64_t outer, int64_t inner) {
    return (outer * split.extent + slice) * split.inner + inner;
  };
  auto less = [&](int64_t a, int64_t b) {
    for (int64_t outer = 0; outer < split.outer; ++outer)
      for (int64_t inner = 0; inner < split.inner; ++inner) {
        if (elementLess(x, at(a, outer, inner), at(b, outer, inner))) return true;
        if (elementLess(x, at(b, outer, inner), at(a, outer, inner))) return false;
      }
    return false;
  };
  std::vector<int64_t> order(static_cast<size_t>(split.extent));
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), less);
  // The first of each group of equal ones, with the size of the group.
  struct Group {
    int64_t first, count, number;
  };
  std::vector<Group> groups;
  std::vector<size_t> groupOf(order.size());
  for (size_t i = 0; i < order.size(); ++i) {
    if (i == 0 || less(order[i - 1], order[i]))
      groups.push_back({order[i], 0, static_cast<int64_t>(groups.size())});
    ++groups.back().count;
    groupOf[static_cast<size_t>(order[i])] = groups.size() - 1;
  }
  std::vector<size_t> listed(groups.size());
  std::iota(listed.begin(), listed.end(), size_t{0});
  if (!unique.sorted)
    std::sort(listed.begin(), listed.end(),
              [&](size_t a, size_t b) { return groups[a].first < groups[b].first; });
  for (size_t i = 0; i < listed.size(); ++i) groups[listed[i]].number = static_cast<int64_t>(i);

  const auto count = static_cast<int64_t>(groups.size());
  std::vector<int64_t> dims(x.dims.begin(), x.dims.end());
  dims[axis] = count;
  const TensorView y = context.allocate(0, std::move(dims));
  for (const Group& group : groups)
    for (int64_t outer = 0; outer < split.outer; ++outer)
      for (int64_t inner = 0; inner < split.inner; ++inner)
        copyElement(x, at(group.first, outer, inner), y,
                    (outer * count + group.number) * split.inner + inner);
  auto list = [&](size_t output, int64_t size) {
    return context.out(output).data ? context.out(output) : context.allocate(output, {size});
  };
  if (context.outputs.size() > 1) {
    const TensorView firsts = list(1, count);
    for (const Group& group : groups) firsts.storeInt(group.number, group.first);
  }
  if (context.outputs.size() > 2) {
    const TensorView inverse = list(2, split.extent);
    for (size_t i = 0; i < groupOf.size(); ++i)
      inverse.storeInt(static_cast<int64_t>(i), groups[groupOf[i]].number);
  }
  if (context.outputs.size() > 3) {
    const TensorView counts = list(3, count);
    for (const Group& group : groups) counts.storeInt(group.number, group.count);
  }
}

static Cost cost(const Unique&, const CostContext& context) {
  return {.flops = 0, .bytes = context.allBytes()};
}

static void importUnique(OnnxNode& node) {
  OnnxNode::Ref x = node.requireInput(0);
  Unique unique{.sorted = node.attributeInt("sorted", 1) != 0};
  if (node.hasAttribute("axis"))
    unique.axis = importAxis(node, "axis", 0, node.rankOf(x));
  else
    x = emitReshape(node, x, {node.shapeOf(x).elementCount()});
  const OnnxNode::Ref inputs[] = {x};
  const auto outputs = node.emit(Operator::of(unique), inputs, 4);
  for (size_t i = 0; i < 4; ++i) node.setOutput(i, outputs[i]);
}

template <>
const OpDef& definitionOf<Unique>() {
  static const OpDef kRow =
      defineOperator<Unique>("Unique", Access::Opaque, {{"", "Unique", 11, 0, importUnique}});
  return kRow;
}

}  // namespace carnot
