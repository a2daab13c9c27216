#include "ops/col2im.h"

#include "base/error.h"
#include "ops/define.h"
#include "ops/elements.h"
#include "ops/onnx_axes.h"
#include "ops/onnx_window.h"
#include "ops/requirements.h"
#include "ops/window.h"

namespace carnot {

static Window windowOf(const Col2Im& op) { return {op.block, op.strides, op.pads, op.dilations}; }

static void infer(const Col2Im& op, InferContext& context) {
  const Shape& x = context.shape(0);
  requireDims(context, op.image);
  context.require(x.rank() == 3, fmt::format("input {}", x.toString()),
                  "[N, channels * block, positions]");
  context.require(op.image.rank() >= 1, "an image without dims", "at least one");
  const Window window = windowOf(op);
  requireWindow(context, window, op.image.rank());
  const Dim block = elementCount(op.block);
  context.requireEqual(floorMod(x[1], block), Dim(0), "channels left over by blocks, and none");
  Dim positions = 1;
  for (size_t axis = 0; axis < op.image.rank(); ++axis)
    positions = positions * window.outputDim(axis, op.image[axis]);
  context.requireEqual(x[2], positions, "columns, and positions of a block");
  Shape out{x[0], floorDiv(x[1], block)};
  for (const Dim& dim : op.image) out.push(dim);
  context.setOutput(0, context.dtype(0), std::move(out));
}

// Of Bool, whose sum is whether any is true, too.
template <typename Number>
static void addBlocks(const Col2Im& op, const ReferenceContext& context) {
  const TensorView &x = context.in(0), &y = context.out(0);
  const auto image = y.dims.subspan(2);
  const Window window = windowOf(op);
  std::vector<int64_t> positions;
  for (size_t axis = 0; axis < image.size(); ++axis)
    positions.push_back(window.outputSize(axis, image[axis]));
  const int64_t block = elementCount(op.block), columns = elementCount(positions);
  const int64_t plane = elementCount(image), planes = y.dims[0] * y.dims[1];
  std::vector<Number> sums(static_cast<size_t>(planes * plane), 0);
  std::vector<WindowTap> taps;
  int64_t column = 0;
  forEachIndex(positions, [&](std::span<const int64_t> at) {
    windowTaps(window, image, at, taps);
    for (int64_t i = 0; i < planes; ++i)
      for (const WindowTap& tap : taps)
        sums[static_cast<size_t>(i * plane + tap.element)] +=
            loadNumber<Number>(x, (i * block + tap.kernel) * columns + column);
    ++column;
  });
  for (size_t i = 0; i < sums.size(); ++i) storeNumber(y, static_cast<int64_t>(i), sums[i]);
}

static void reference(const Col2Im& op, const ReferenceContext& context) {
  if (isComplex(context.in(0).dtype)) return addBlocks<std::complex<double>>(op, context);
  addBlocks<double>(op, context);
}

static Cost cost(const Col2Im&, const CostContext& context) {
  return {.flops = static_cast<double>(elementCount(context.inputs[0].shape.concrete())),
          .bytes = context.allBytes()};
}

static void importCol2Im(OnnxNode& node) {
  const OnnxNode::Ref x = node.requireInput(0);
  Col2Im op{.image = Shape(importDims(node, 1)), .block = node.requireConstantInts(2)};
  const size_t axes = op.image.rank();
  op.strides = importPerAxis(node, "strides", axes, 1);
  op.pads = importPerAxis(node, "pads", 2 * axes, 0);
  op.dilations = importPerAxis(node, "dilations", axes, 1);
  node.setOutput(0, node.emit(Operator::of(std::move(op)), {x}));
}

template <>
const OpDef& definitionOf<Col2Im>() {
  static const OpDef kRow =
      defineOperator<Col2Im>("Col2Im", Access::Window, {{"", "Col2Im", 18, 0, importCol2Im}});
  return kRow;
}

}  // namespace carnot
