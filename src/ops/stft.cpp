#include "ops/stft.h"

#include <cmath>
#include <complex>

#include "base/error.h"
#include "ops/define.h"
#include "ops/fourier.h"
#include "ops/onnx_node.h"
#include "ops/requirements.h"

namespace carnot {

static void infer(const Stft& stft, InferContext& context) {
  const Shape& x = context.shape(0);
  requireFloat(context, 0);
  context.require(x.rank() == 3, x.toString(), "[N, samples, 1] or [N, samples, 2]");
  auto parts = x[2].tryConstant();
  context.require(parts == 1 || parts == 2, fmt::format("a last dim of {}", x[2].toString()),
                  "1 (real) or 2 (real, imaginary)");
  context.require(parts == 1 || !stft.onesided, "onesided transforms of [..., 2]",
                  "real numbers, [..., 1]");
  context.require(stft.frame >= 1 && stft.step >= 1,
                  fmt::format("frames of {} every {}", stft.frame, stft.step), "at least 1");
  if (context.has(1)) {
    context.requireSameDType(0, 1);
    context.require(context.rank(1) == 1, fmt::format("window {}", context.shape(1).toString()),
                    "[frame]");
    context.requireEqual(context.shape(1)[0], Dim(stft.frame), "window and frame");
  }
  const Dim frames = floorDiv(x[1] - Dim(stft.frame), Dim(stft.step)) + 1;
  if (auto known = frames.tryConstant())
    context.require(*known >= 0, fmt::format("{} samples", x[1].toString()),
                    fmt::format("a frame of {}", stft.frame));
  const int64_t bins = stft.onesided ? stft.frame / 2 + 1 : stft.frame;
  context.setOutput(0, context.dtype(0), {x[0], frames, bins, 2});
}

static void reference(const Stft& stft, const ReferenceContext& context) {
  const TensorView &x = context.in(0), &y = context.out(0);
  const int64_t samples = x.dims[1], parts = x.dims[2], frames = y.dims[1], bins = y.dims[2];
  const Fourier fourier(static_cast<size_t>(stft.frame), false);
  std::vector<std::complex<double>> line(static_cast<size_t>(stft.frame));
  for (int64_t i = 0; i < y.dims[0] * frames; ++i) {
    const int64_t first = i / frames * samples + i % frames * stft.step;
    for (int64_t t = 0; t < stft.frame; ++t) {
      const int64_t at = (first + t) * parts;
      const double factor = context.has(1) ? context.in(1).loadDouble(t) : 1;
      line[static_cast<size_t>(t)] = {factor * x.loadDouble(at),
                                      parts == 2 ? factor * x.loadDouble(at + 1) : 0};
    }
    const std::vector<std::complex<double>> result = fourier(line);
    for (int64_t k = 0; k < bins; ++k) {
      y.storeDouble((i * bins + k) * 2, result[static_cast<size_t>(k)].real());
      y.storeDouble((i * bins + k) * 2 + 1, result[static_cast<size_t>(k)].imag());
    }
  }
}

static Cost cost(const Stft& stft, const CostContext& context) {
  const auto frame = static_cast<double>(stft.frame);
  return {.flops = 4 * context.elements() * (std::log2(frame) + 1), .bytes = context.allBytes()};
}

// The one integer of input i.
static int64_t importInt(const OnnxNode& node, size_t i) {
  const std::vector<int64_t> values = node.requireConstantInts(i);
  if (values.size() != 1)
    throw Error(ErrorCode::InvalidModel, fmt::format("{} values of input {}", values.size(), i),
                "one");
  return values[0];
}

static void importStft(OnnxNode& node) {
  const OnnxNode::Ref x = node.requireInput(0), window = node.input(2);
  Stft stft{.step = importInt(node, 1), .onesided = node.attributeInt("onesided", 1) != 0};
  if (node.hasInput(3)) {
    stft.frame = importInt(node, 3);
  } else {
    const Shape& shape = node.shapeOf(window ? window : x);
    const size_t axis = window ? 0 : 1;
    auto frame = axis < shape.rank() ? shape[axis].tryConstant() : std::nullopt;
    if (!frame)
      node.unsupported(fmt::format("frames as long as an input of shape {}", shape.toString()),
                       "a constant length", "pass frame_length");
    stft.frame = *frame;
  }
  node.setOutput(0, node.emit(Operator::of(stft), {x, window}));
}

template <>
const OpDef& definitionOf<Stft>() {
  static const OpDef kRow =
      defineOperator<Stft>("Stft", Access::Opaque, {{"", "STFT", 17, 0, importStft}});
  return kRow;
}

}  // namespace carnot
