#include "ops/conv.h"

#include "base/error.h"
#include "ops/define.h"
#include "ops/elements.h"
#include "ops/onnx_node.h"
#include "ops/onnx_window.h"
#include "ops/requirements.h"
#include "ops/window.h"

namespace carnot {

static std::vector<int64_t> kernelOf(const InferContext& context) {
  std::vector<int64_t> kernel;
  for (size_t axis = 2; axis < context.rank(1); ++axis) {
    auto size = context.shape(1)[axis].tryConstant();
    if (!size)
      throw Error(ErrorCode::Unsupported,
                  fmt::format("weights of shape {}", context.shape(1).toString()),
                  "a constant kernel size");
    kernel.push_back(*size);
  }
  return kernel;
}

static void infer(const Conv& conv, InferContext& context) {
  const Shape& x = context.shape(0);
  const Shape& w = context.shape(1);
  context.require(x.rank() >= 3 && x.rank() == w.rank(),
                  fmt::format("input {} and weights {}", x.toString(), w.toString()),
                  "equal ranks of at least 3");
  requireFloat(context, 0);
  context.requireSameDType(0, 1);
  const std::vector<int64_t> kernel = kernelOf(context);
  const Window window{kernel, conv.strides, conv.pads, conv.dilations};
  requireWindow(context, window, x.rank() - 2);
  context.require(conv.group >= 1, fmt::format("{} groups", conv.group), "at least 1");
  context.requireEqual(x[1], w[1] * Dim(conv.group), "channels of the input and of the weights");
  context.requireEqual(floorMod(w[0], Dim(conv.group)), Dim(0),
                       "output channels left over by the groups, and none");
  if (context.has(2)) {
    context.require(context.rank(2) == 1, fmt::format("bias of rank {}", context.rank(2)),
                    "rank 1");
    context.requireSameDType(0, 2);
    context.requireEqual(context.shape(2)[0], w[0], "bias and output channels");
  }
  context.setOutput(0, context.dtype(0), windowOutputShape(context, window, x, w[0]));
}

static void reference(const Conv& conv, const ReferenceContext& context) {
  const auto xDims = context.in(0).dims, wDims = context.in(1).dims, yDims = context.out(0).dims;
  const std::vector<double> x = loadDoubles(context.in(0)), w = loadDoubles(context.in(1));
  const Window window{wDims.subspan(2), conv.strides, conv.pads, conv.dilations};
  const int64_t batch = xDims[0], channels = wDims[1], group = conv.group;
  const int64_t outChannels = wDims[0] / group, taps = elementCount(wDims.subspan(2));
  const int64_t inSize = elementCount(xDims.subspan(2)), outSize = elementCount(yDims.subspan(2));

  std::vector<WindowTap> under;
  int64_t position = 0;
  forEachIndex(yDims.subspan(2), [&](std::span<const int64_t> at) {
    windowTaps(window, xDims.subspan(2), at, under);
    for (int64_t n = 0; n < batch; ++n) {
      for (int64_t m = 0; m < group * outChannels; ++m) {
        const double* plane =
            &x[static_cast<size_t>((n * group + m / outChannels) * channels * inSize)];
        const double* kernel = &w[static_cast<size_t>(m * channels * taps)];
        double sum = context.has(2) ? context.in(2).loadDouble(m) : 0;
        for (int64_t c = 0; c < channels; ++c)
          for (const WindowTap& tap : under)
            sum += plane[c * inSize + tap.element] * kernel[c * taps + tap.kernel];
        context.out(0).storeDouble((n * group * outChannels + m) * outSize + position, sum);
      }
    }
    ++position;
  });
}

static Cost cost(const Conv&, const CostContext& context) {
  const Shape& w = context.inputs[1].shape;
  const double products = static_cast<double>(elementCount(w.concrete())) /
                          static_cast<double>(std::max<int64_t>(1, w[0].constant()));
  return {.flops = 2 * context.elements() * products, .bytes = context.allBytes()};
}

static void importConv(OnnxNode& node) {
  const OnnxNode::Ref x = node.requireInput(0), w = node.requireInput(1);
  WindowAttributes window = importWindow(node, node.shapeOf(x), importKernel(node, 1));
  const Shape& weights = node.shapeOf(w);
  for (size_t axis = 0; axis < window.kernel.size() && 2 + axis < weights.rank(); ++axis)
    if (compare(weights[2 + axis], Dim(window.kernel[axis])) == Equality::No)
      throw Error(ErrorCode::InvalidModel,
                  fmt::format("kernel_shape {} along axis {}", window.kernel[axis], 2 + axis),
                  fmt::format("that of the weights {}", weights.toString()));
  Conv conv{.strides = std::move(window.strides),
            .pads = std::move(window.pads),
            .dilations = std::move(window.dilations),
            .group = node.attributeInt("group", 1)};
  std::vector<OnnxNode::Ref> inputs = {x, w};
  if (node.hasInput(2)) inputs.push_back(node.input(2));
  node.setOutput(0, node.emit(Operator::of(std::move(conv)), inputs));
}

template <>
const OpDef& definitionOf<Conv>() {
  static const OpDef kRow =
      defineOperator<Conv>("Conv", Access::Window, {{"", "Conv", 1, 0, importConv}});
  return kRow;
}

}  // namespace carnot
