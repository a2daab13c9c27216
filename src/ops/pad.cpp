#include "ops/pad.h"

#include <algorithm>

#include "base/error.h"
#include "ops/define.h"
#include "ops/elements.h"
#include "ops/onnx_center_crop_pad.h"
#include "ops/onnx_pad.h"

namespace carnot {

static void infer(const Pad&, InferContext& context) {
  const Shape& x = context.shape(0);
  context.require(context.dtype(1) == DType::I64 && context.rank(1) == 1,
                  fmt::format("pads of type {}", context.type(1).toString()), "a list of int64");
  auto pads = context.contentsOf(1);
  if (!pads)
    throw Error(ErrorCode::Unsupported, "pads computed from data (input 1)",
                "constants, or arithmetic on the dims of inputs");
  context.require(pads->size() == 2 * x.rank(), fmt::format("{} pads", pads->size()),
                  fmt::format("a begin and an end for each dim of {}", x.toString()));
  if (context.has(2)) {
    context.requireSameDType(0, 2);
    context.require(context.shape(2).elementCount() == Dim(1),
                    fmt::format("a value of shape {}", context.shape(2).toString()), "one element");
  }
  Shape out;
  for (size_t axis = 0; axis < x.rank(); ++axis) {
    const Dim size = x[axis] + (*pads)[axis] + (*pads)[x.rank() + axis];
    if (auto known = size.tryConstant())
      context.require(*known >= 0,
                      fmt::format("pads that leave {} elements along axis {}", *known, axis),
                      "at least 0");
    out.push(size);
  }
  context.setOutput(0, context.dtype(0), std::move(out));
}

// The element of [0, extent) that stands at `at`, or -1 for the constant.
static int64_t sourceOf(PadMode mode, int64_t at, int64_t extent) {
  if (at >= 0 && at < extent) return at;
  switch (mode) {
    case PadMode::Constant:
      return -1;
    case PadMode::Edge:
      return std::clamp<int64_t>(at, 0, extent - 1);
    case PadMode::Wrap:
      return (at % extent + extent) % extent;
    case PadMode::Reflect: {
      if (extent == 1) return 0;
      const int64_t period = 2 * (extent - 1), phase = (at % period + period) % period;
      return phase < extent ? phase : period - phase;
    }
  }
  throwInternal("pad mode");
}

std::vector<int64_t> padSources(PadMode mode, int64_t extent, int64_t begin, int64_t end) {
  const int64_t cropped = std::max<int64_t>(0, -begin);
  const int64_t visible = extent - cropped - std::max<int64_t>(0, -end);
  std::vector<int64_t> sources;
  for (int64_t i = 0; i < extent + begin + end; ++i) {
    if (visible <= 0 && mode != PadMode::Constant)
      throw Error(ErrorCode::InvalidArgument, "padding from an axis without elements",
                  "at least one element, or constant padding");
    const int64_t source = sourceOf(mode, i - std::max<int64_t>(0, begin), visible);
    sources.push_back(source < 0 ? -1 : cropped + source);
  }
  return sources;
}

static void reference(const Pad& pad, const ReferenceContext& context) {
  const TensorView &x = context.in(0), &y = context.out(0);
  const std::vector<int64_t> pads = loadInts(context.in(1)), strides = rowMajorStrides(x.dims);
  std::vector<std::vector<int64_t>> sources;
  sources.reserve(x.dims.size());
  for (size_t axis = 0; axis < x.dims.size(); ++axis)
    sources.push_back(padSources(pad.mode, x.dims[axis], pads[axis], pads[x.dims.size() + axis]));
  zeroElements(y);
  int64_t out = 0;
  forEachIndex(y.dims, [&](std::span<const int64_t> at) {
    int64_t from = 0;
    bool inside = true;
    for (size_t axis = 0; axis < at.size(); ++axis) {
      const int64_t source = sources[axis][static_cast<size_t>(at[axis])];
      inside = inside && source >= 0;
      from += source * strides[axis];
    }
    if (inside)
      copyElement(x, from, y, out);
    else if (context.has(2))
      copyElement(context.in(2), 0, y, out);
    ++out;
  });
}

static Cost cost(const Pad&, const CostContext& context) {
  return {.flops = 0, .bytes = context.allBytes()};
}

template <>
const OpDef& definitionOf<Pad>() {
  static const OpDef kRow = defineOperator<Pad>(
      "Pad", Access::Permute,
      {{"", "Pad", 1, 0, importPad}, {"", "CenterCropPad", 18, 0, importCenterCropPad}});
  return kRow;
}

}  // namespace carnot
