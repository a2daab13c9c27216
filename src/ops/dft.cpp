#include "ops/dft.h"

#include <algorithm>
#include <cmath>
#include <complex>

#include "base/error.h"
#include "ops/define.h"
#include "ops/elements.h"
#include "ops/fourier.h"
#include "ops/onnx_axes.h"
#include "ops/requirements.h"

namespace carnot {

// Of the transform of `extent` elements.
static Dim lengthOf(const Dft& dft, const Dim& extent) {
  if (dft.length.rank() == 1) return dft.length[0];
  return dft.inverse && dft.onesided ? Dim(2) * (extent - 1) : extent;
}

static void infer(const Dft& dft, InferContext& context) {
  Shape out = context.shape(0);
  requireFloat(context, 0);
  requireDims(context, dft.length);
  context.require(out.rank() >= 2, out.toString(), "[..., 1] or [..., 2]");
  const size_t last = out.rank() - 1;
  context.require(dft.axis >= 0 && dft.axis < static_cast<int64_t>(last),
                  fmt::format("axis {}", dft.axis),
                  fmt::format("an axis of {} before the last", out.toString()));
  auto parts = out[last].tryConstant();
  context.require(parts == 1 || parts == 2, fmt::format("a last dim of {}", out[last].toString()),
                  "1 (real) or 2 (real, imaginary)");
  context.require(dft.length.rank() <= 1, fmt::format("length {}", dft.length.toString()),
                  "one Dim or none");
  const Dim& extent = out[static_cast<size_t>(dft.axis)];
  const Dim length = lengthOf(dft, extent);
  context.require(dft.inverse || !dft.onesided || parts == 1, "a onesided transform of [..., 2]",
                  "real numbers, [..., 1]");
  out[static_cast<size_t>(dft.axis)] =
      dft.onesided && !dft.inverse ? floorDiv(length, Dim(2)) + 1 : length;
  out[last] = dft.onesided && dft.inverse ? 1 : 2;
  context.setOutput(0, context.dtype(0), std::move(out));
}

// The half that a onesided transform leaves out: the conjugates, mirrored. What makes the result
// complex is dropped: the imaginary parts of the first and, of an even length, the middle one.
static void mirror(std::vector<std::complex<double>>& line) {
  const size_t n = line.size();
  if (n == 0) return;
  line[0] = line[0].real();
  if (n % 2 == 0) line[n / 2] = line[n / 2].real();
  for (size_t k = n / 2 + 1; k < n; ++k) line[k] = std::conj(line[n - k]);
}

static void reference(const Dft& dft, const ReferenceContext& context) {
  const TensorView &x = context.in(0), &y = context.out(0);
  const auto axis = static_cast<size_t>(dft.axis);
  const int64_t parts = x.dims.back(), outParts = y.dims.back();
  const AxisSplit from = splitAt(x.dims.first(x.dims.size() - 1), axis);
  const AxisSplit to = splitAt(y.dims.first(y.dims.size() - 1), axis);
  const int64_t length = lengthOf(dft, from.extent).constant();
  const bool mirrored = dft.onesided && dft.inverse;
  const int64_t taken = std::min(from.extent, mirrored ? length / 2 + 1 : length);
  const Fourier fourier(static_cast<size_t>(length), dft.inverse);
  std::vector<std::complex<double>> line(static_cast<size_t>(length));
  for (int64_t i = 0; i < from.outer * from.inner; ++i) {
    const int64_t outer = i / from.inner, inner = i % from.inner;
    std::fill(line.begin(), line.end(), 0);
    for (int64_t t = 0; t < taken; ++t) {
      const int64_t at = ((outer * from.extent + t) * from.inner + inner) * parts;
      line[static_cast<size_t>(t)] = {x.loadDouble(at), parts == 2 ? x.loadDouble(at + 1) : 0};
    }
    if (mirrored) mirror(line);
    const std::vector<std::complex<double>> result = fourier(line);
    for (int64_t k = 0; k < to.extent; ++k) {
      const int64_t at = ((outer * to.extent + k) * to.inner + inner) * outParts;
      y.storeDouble(at, result[static_cast<size_t>(k)].real());
      if (outParts == 2) y.storeDouble(at + 1, result[static_cast<size_t>(k)].imag());
    }
  }
}

static Cost cost(const Dft& dft, const CostContext& context) {
  const std::vector<int64_t> y = context.outputs[0].shape.concrete();
  const auto length = static_cast<double>(std::max<int64_t>(y[static_cast<size_t>(dft.axis)], 2));
  return {.flops = 4 * context.elements() * std::log2(length), .bytes = context.allBytes()};
}

static void importDft(OnnxNode& node) {
  const OnnxNode::Ref x = node.requireInput(0);
  Dft dft{.axis = node.opset() < 20 ? node.attributeInt("axis", 1) : -2,
          .length = {},
          .inverse = node.attributeInt("inverse", 0) != 0,
          .onesided = node.attributeInt("onesided", 0) != 0};
  if (node.opset() >= 20 && node.hasInput(2)) {
    const std::vector<int64_t> axis = node.requireConstantInts(2);
    if (axis.size() != 1)
      throw Error(ErrorCode::InvalidModel, fmt::format("{} axes", axis.size()), "one");
    dft.axis = axis[0];
  }
  dft.axis = static_cast<int64_t>(normalizeAxis(dft.axis, node.rankOf(x)));
  if (node.hasInput(1)) dft.length = Shape(importDims(node, 1));
  node.setOutput(0, node.emit(Operator::of(std::move(dft)), {x}));
}

template <>
const OpDef& definitionOf<Dft>() {
  static const OpDef kRow =
      defineOperator<Dft>("Dft", Access::Opaque, {{"", "DFT", 17, 0, importDft}});
  return kRow;
}

}  // namespace carnot
