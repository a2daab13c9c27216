#include "ops/conv_transpose.h"

#include <algorithm>

#include "base/error.h"
#include "ops/define.h"
#include "ops/elements.h"
#include "ops/onnx_node.h"
#include "ops/onnx_window.h"
#include "ops/requirements.h"
#include "ops/window.h"

namespace carnot {

static void infer(const ConvTranspose& conv, InferContext& context) {
  const Shape& x = context.shape(0);
  const Shape& w = context.shape(1);
  context.require(x.rank() >= 3 && x.rank() == w.rank(),
                  fmt::format("input {} and weights {}", x.toString(), w.toString()),
                  "equal ranks of at least 3");
  requireFloat(context, 0);
  context.requireSameDType(0, 1);
  const size_t axes = x.rank() - 2;
  std::vector<int64_t> kernel;
  for (size_t axis = 0; axis < axes; ++axis) {
    auto size = w[2 + axis].tryConstant();
    if (!size)
      throw Error(ErrorCode::Unsupported, fmt::format("weights of shape {}", w.toString()),
                  "a constant kernel size");
    kernel.push_back(*size);
  }
  const Window window{kernel, conv.strides, conv.pads, conv.dilations};
  requireWindow(context, window, axes);
  context.require(conv.outputPadding.size() == axes,
                  fmt::format("{} output paddings", conv.outputPadding.size()),
                  fmt::format("{}, one a spatial axis", axes));
  for (int64_t padding : conv.outputPadding)
    context.require(padding >= 0, fmt::format("output padding {}", padding), "at least 0");
  context.require(conv.group >= 1, fmt::format("{} groups", conv.group), "at least 1");
  context.requireEqual(x[1], w[0], "channels of the input and of the weights");
  context.requireEqual(floorMod(w[0], Dim(conv.group)), Dim(0),
                       "channels left over by the groups, and none");
  const Dim outChannels = w[1] * Dim(conv.group);
  if (context.has(2)) {
    context.require(context.rank(2) == 1, fmt::format("bias of rank {}", context.rank(2)),
                    "rank 1");
    context.requireSameDType(0, 2);
    context.requireEqual(context.shape(2)[0], outChannels, "bias and output channels");
  }
  Shape out{x[0], outChannels};
  for (size_t axis = 0; axis < axes; ++axis) {
    const Dim size = (x[2 + axis] - 1) * Dim(conv.strides[axis]) + conv.outputPadding[axis] +
                     (window.extent(axis) - window.padBegin(axis) - window.padEnd(axis));
    if (auto known = size.tryConstant())
      context.require(*known >= 0,
                      fmt::format("pads that leave {} elements along axis {}", *known, 2 + axis),
                      "smaller pads");
    out.push(size);
  }
  context.setOutput(0, context.dtype(0), std::move(out));
}

static void reference(const ConvTranspose& conv, const ReferenceContext& context) {
  const auto xDims = context.in(0).dims, wDims = context.in(1).dims, yDims = context.out(0).dims;
  const std::vector<double> x = loadDoubles(context.in(0)), w = loadDoubles(context.in(1));
  const Window window{wDims.subspan(2), conv.strides, conv.pads, conv.dilations};
  const int64_t batch = xDims[0], channels = xDims[1], perGroup = channels / conv.group;
  const int64_t outPerGroup = wDims[1], outChannels = conv.group * outPerGroup;
  const int64_t taps = elementCount(wDims.subspan(2));
  const int64_t inSize = elementCount(xDims.subspan(2)), outSize = elementCount(yDims.subspan(2));

  std::vector<double> y(static_cast<size_t>(context.out(0).count()), 0.0);
  if (context.has(2))
    for (size_t i = 0; i < y.size(); ++i)
      y[i] = context.in(2).loadDouble(static_cast<int64_t>(i) / outSize % outChannels);
  std::vector<WindowTap> reached;
  int64_t position = 0;
  // The window lies over the output, one position of it for each element of the input.
  forEachIndex(xDims.subspan(2), [&](std::span<const int64_t> at) {
    windowTaps(window, yDims.subspan(2), at, reached);
    for (int64_t n = 0; n < batch; ++n) {
      for (int64_t c = 0; c < channels; ++c) {
        const double value = x[static_cast<size_t>((n * channels + c) * inSize + position)];
        for (int64_t m = 0; m < outPerGroup; ++m) {
          const double* kernel = &w[static_cast<size_t>((c * outPerGroup + m) * taps)];
          const int64_t plane = n * outChannels + c / perGroup * outPerGroup + m;
          for (const WindowTap& tap : reached)
            y[static_cast<size_t>(plane * outSize + tap.element)] += value * kernel[tap.kernel];
        }
      }
    }
    ++position;
  });
  for (size_t i = 0; i < y.size(); ++i) context.out(0).storeDouble(static_cast<int64_t>(i), y[i]);
}

static Cost cost(const ConvTranspose&, const CostContext& context) {
  const Shape& x = context.inputs[0].shape;
  const Shape& w = context.inputs[1].shape;
  const double products = static_cast<double>(elementCount(w.concrete())) /
                          static_cast<double>(std::max<int64_t>(1, w[0].constant()));
  return {.flops = 2 * static_cast<double>(elementCount(x.concrete())) * products,
          .bytes = context.allBytes()};
}

// Writes the pads that auto_pad or output_shape ask for into `conv`. Where they ask for more
// elements than the kernel reaches, output padding makes up for it.
static void resolvePads(const OnnxNode& node, const Shape& input, std::span<const int64_t> kernel,
                        ConvTranspose& conv) {
  const size_t axes = kernel.size();
  const std::string autoPad = node.attributeString("auto_pad", "NOTSET");
  std::vector<int64_t> sizes = node.attributeInts("output_shape");
  if (sizes.size() == axes + 2) sizes.erase(sizes.begin(), sizes.begin() + 2);
  const bool same = autoPad == "SAME_UPPER" || autoPad == "SAME_LOWER";
  if (!same && autoPad != "NOTSET" && autoPad != "VALID" && !autoPad.empty())
    throw Error(ErrorCode::InvalidModel, fmt::format("auto_pad \"{}\"", autoPad),
                "NOTSET, VALID, SAME_UPPER or SAME_LOWER");
  if (sizes.empty() && !same) {
    conv.pads = autoPad == "VALID" ? std::vector<int64_t>(2 * axes, 0)
                                   : importPerAxis(node, "pads", 2 * axes, 0);
    return;
  }
  for (auto list : {&conv.strides, &conv.dilations, &conv.outputPadding})
    if (list->size() != axes || (!sizes.empty() && sizes.size() != axes))
      throw Error(ErrorCode::InvalidModel, "attributes of different lengths",
                  fmt::format("{} entries, one a spatial axis", axes));
  conv.pads.assign(2 * axes, 0);
  for (size_t axis = 0; axis < axes; ++axis) {
    const Dim stride(conv.strides[axis]);
    const Dim full = (input[2 + axis] - 1) * stride + conv.outputPadding[axis] +
                     (Dim(kernel[axis]) - 1) * Dim(conv.dilations[axis]) + 1;
    const Dim size = sizes.empty() ? input[2 + axis] * stride : Dim(sizes[axis]);
    auto total = (full - size).tryConstant();
    if (!total)
      node.unsupported(
          fmt::format("padding of {} elements along axis {}", (full - size).toString(), 2 + axis),
          "pads that do not depend on the input's size",
          "fix the input's spatial dims or export with explicit pads");
    const Dim more = Dim(conv.outputPadding[axis]) + max(Dim(0), -Dim(*total));
    conv.outputPadding[axis] = more.constant();
    const int64_t pads = std::max<int64_t>(0, *total);
    conv.pads[axis] = autoPad == "SAME_UPPER" ? pads / 2 : pads - pads / 2;
    conv.pads[axes + axis] = pads - conv.pads[axis];
  }
}

static void importConvTranspose(OnnxNode& node) {
  const OnnxNode::Ref x = node.requireInput(0), w = node.requireInput(1);
  const std::vector<int64_t> kernel = importKernel(node, 1);
  const size_t axes = kernel.size();
  if (axes == 0 || node.rankOf(x) != axes + 2)
    throw Error(ErrorCode::InvalidModel,
                fmt::format("input of shape {} under a kernel of {} axes",
                            node.shapeOf(x).toString(), axes),
                "[N, C] and as many spatial dims as the kernel, at least one");
  ConvTranspose conv{.strides = importPerAxis(node, "strides", axes, 1),
                     .pads = {},
                     .dilations = importPerAxis(node, "dilations", axes, 1),
                     .outputPadding = importPerAxis(node, "output_padding", axes, 0),
                     .group = node.attributeInt("group", 1)};
  resolvePads(node, node.shapeOf(x), kernel, conv);
  std::vector<OnnxNode::Ref> inputs = {x, w};
  if (node.hasInput(2)) inputs.push_back(node.input(2));
  node.setOutput(0, node.emit(Operator::of(std::move(conv)), inputs));
}

template <>
const OpDef& definitionOf<ConvTranspose>() {
  static const OpDef kRow = defineOperator<ConvTranspose>(
      "ConvTranspose", Access::Window, {{"", "ConvTranspose", 1, 0, importConvTranspose}});
  return kRow;
}

}  // namespace carnot
