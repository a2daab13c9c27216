#include "ops/onnx_slice.h"

#include <numeric>

#include "base/error.h"
#include "ops/cast.h"
#include "ops/onnx_axes.h"
#include "ops/pointwise_binary.h"
#include "ops/shape_of.h"
#include "ops/slice.h"

namespace carnot {

namespace {

// An input's integers as int64, constant where they are.
OnnxNode::Ref bounds(OnnxNode& node, size_t i) {
  const OnnxNode::Ref ref = node.requireInput(i);
  if (const Tensor* constant = node.constantOf(ref)) return emitInts(node, constant->toInts());
  if (node.dtypeOf(ref) == DType::I64) return ref;
  return node.emit(Operator::of(Cast{.to = DType::I64}), {ref});
}

}  // namespace

void importSlice(OnnxNode& node) {
  const OnnxNode::Ref x = node.requireInput(0);
  const bool attributes = node.opset() < 10;
  const OnnxNode::Ref starts =
      attributes ? emitInts(node, node.attributeInts("starts")) : bounds(node, 1);
  const OnnxNode::Ref ends =
      attributes ? emitInts(node, node.attributeInts("ends")) : bounds(node, 2);
  Slice slice;
  if (auto axes = importAxes(node, 3, "axes", node.rankOf(x))) {
    slice.axes = std::move(*axes);
  } else {
    auto count = node.rankOf(starts) == 1 ? node.shapeOf(starts)[0].tryConstant() : std::nullopt;
    if (!count)
      throw Error(ErrorCode::InvalidModel,
                  fmt::format("starts of shape {}", node.shapeOf(starts).toString()),
                  "a list of constant length");
    slice.axes.resize(static_cast<size_t>(*count));
    std::iota(slice.axes.begin(), slice.axes.end(), 0);
  }
  slice.steps =
      node.hasInput(4) ? node.requireConstantInts(4) : std::vector<int64_t>(slice.axes.size(), 1);
  node.setOutput(0, node.emit(Operator::of(std::move(slice)), {x, starts, ends}));
}

namespace {

// Sizes of the parts where they are given or follow from a constant extent.
std::vector<int64_t> partSizes(const OnnxNode& node, const Dim& extent) {
  std::vector<int64_t> sizes =
      node.hasInput(1) ? node.requireConstantInts(1) : node.attributeInts("split");
  auto total = extent.tryConstant();
  if (!sizes.empty()) {
    Dim sum = 0;
    for (int64_t size : sizes) {
      if (size < 0)
        throw Error(ErrorCode::InvalidModel, fmt::format("a part of {} elements", size),
                    "at least 0");
      sum = sum + size;
    }
    if (sizes.size() != node.outputCount() || (total && sum != Dim(*total)))
      throw Error(ErrorCode::InvalidModel,
                  fmt::format("{} parts of {} elements in all", sizes.size(), sum.toString()),
                  fmt::format("{} parts of {}", node.outputCount(), extent.toString()));
    return sizes;
  }
  if (!total) return {};
  const auto parts = static_cast<int64_t>(node.outputCount());
  if (node.opset() < 18 && *total % parts != 0)
    throw Error(ErrorCode::InvalidModel,
                fmt::format("{} elements in {} equal parts", *total, parts), "a multiple");
  const int64_t chunk = (*total + parts - 1) / parts;
  for (int64_t i = 0; i < parts; ++i)
    sizes.push_back(std::clamp<int64_t>(*total - i * chunk, 0, chunk));
  return sizes;
}

// ceil(extent / parts) as a list of one, computed from x's shape.
OnnxNode::Ref chunkOf(OnnxNode& node, OnnxNode::Ref x, int64_t axis, int64_t parts) {
  OnnxNode::Ref chunk = node.emit(Operator::of(ShapeOf{.start = axis, .end = axis + 1}), {x});
  chunk = node.emit(Operator::of(Add{}), {chunk, emitInts(node, {parts - 1})});
  return node.emit(Operator::of(Div{}), {chunk, emitInts(node, {parts})});
}

}  // namespace

void importSplit(OnnxNode& node) {
  const OnnxNode::Ref x = node.requireInput(0);
  const int64_t axis = importAxis(node, "axis", 0, node.rankOf(x));
  const auto parts = static_cast<int64_t>(node.outputCount());
  if (parts == 0) throw Error(ErrorCode::InvalidModel, "no outputs", "at least one");
  if (node.attributeInt("num_outputs", parts) != parts)
    throw Error(ErrorCode::InvalidModel, fmt::format("{} outputs", parts), "num_outputs of them");
  const Dim extent = node.shapeOf(x)[static_cast<size_t>(axis)];
  const std::vector<int64_t> sizes = partSizes(node, extent);
  const Operator slice = Operator::of(Slice{.axes = {axis}, .steps = {1}});
  if (!sizes.empty()) {
    int64_t start = 0;
    for (size_t i = 0; i < sizes.size(); start += sizes[i++])
      node.setOutput(
          i, node.emit(slice, {x, emitInts(node, {start}), emitInts(node, {start + sizes[i]})}));
    return;
  }
  const OnnxNode::Ref chunk = chunkOf(node, x, axis, parts);
  OnnxNode::Ref start = emitInts(node, {0});
  for (int64_t i = 0; i < parts; ++i) {
    const OnnxNode::Ref end = node.emit(Operator::of(Add{}), {start, chunk});
    node.setOutput(static_cast<size_t>(i), node.emit(slice, {x, start, end}));
    start = end;
  }
}

}  // namespace carnot
