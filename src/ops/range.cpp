#include "ops/range.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "ops/contents.h"
#include "ops/define.h"
#include "ops/onnx_axes.h"
#include "ops/onnx_eye_like.h"

namespace carnot {

static int64_t countOf(double start, double limit, double delta) {
  const double count = std::ceil((limit - start) / delta);
  if (std::isnan(count) || count > static_cast<double>(Dim::kLargest))
    throw Error(ErrorCode::InvalidModel,
                fmt::format("a range of {} to {} by {}", start, limit, delta),
                "a finite number of elements");
  return static_cast<int64_t>(std::max(0.0, count));
}

// From integers known as expressions; the step's sign must be known.
static std::optional<Dim> symbolicCount(const InferContext& context) {
  auto start = context.contentsOf(0), limit = context.contentsOf(1), delta = context.contentsOf(2);
  if (!start || !limit || !delta || !delta->front().isConstant()) return std::nullopt;
  const int64_t step = delta->front().constant();
  if (step == 0) return std::nullopt;
  const Dim distance = step > 0 ? limit->front() - start->front() : start->front() - limit->front();
  return max(Dim(0), ceilDiv(distance, Dim(std::abs(step))));
}

static void infer(const Range&, InferContext& context) {
  for (size_t i = 0; i < 3; ++i) {
    context.require(context.shape(i).elementCount() == Dim(1),
                    fmt::format("input {} of shape {}", i, context.shape(i).toString()),
                    "one element");
    context.requireSameDType(0, i);
  }
  std::optional<Dim> count = symbolicCount(context);
  const Tensor* bounds[] = {context.inputs[0].constant, context.inputs[1].constant,
                            context.inputs[2].constant};
  if (!count && bounds[0] && bounds[1] && bounds[2]) {
    auto value = [&](size_t i) { return bounds[i]->view().loadDouble(0); };
    context.require(value(2) != 0, "a step of 0", "another");
    count = countOf(value(0), value(1), value(2));
  }
  if (!count)
    throw Error(ErrorCode::Unsupported, "a range whose length is computed from data",
                "bounds that are constant, or integer arithmetic on the dims of inputs");
  context.setOutput(0, context.dtype(0), {*count});

  auto length = count->tryConstant();
  auto start = context.contentsOf(0), delta = context.contentsOf(2);
  if (!length || *length > kMaxContents || !start || !delta) return;
  std::vector<Dim> contents;
  contents.reserve(static_cast<size_t>(*length));
  for (int64_t i = 0; i < *length; ++i)
    contents.push_back(start->front() + delta->front() * Dim(i));
  setContents(context, 0, std::move(contents));
}

static void reference(const Range&, const ReferenceContext& context) {
  const TensorView& y = context.out(0);
  for (int64_t i = 0; i < y.count(); ++i) {
    if (isFloat(y.dtype))
      y.storeDouble(
          i, context.in(0).loadDouble(0) + static_cast<double>(i) * context.in(2).loadDouble(0));
    else
      y.storeInt(i, context.in(0).loadInt(0) + i * context.in(2).loadInt(0));
  }
}

static Cost cost(const Range&, const CostContext& context) {
  return {.flops = 2 * context.elements(), .bytes = context.allBytes()};
}

static void importRange(OnnxNode& node) {
  std::vector<OnnxNode::Ref> bounds;
  bounds.reserve(3);
  for (size_t i = 0; i < 3; ++i) bounds.push_back(emitReshape(node, node.requireInput(i), {}));
  node.setOutput(0, node.emit(Operator::of(Range{}), bounds));
}

template <>
const OpDef& definitionOf<Range>() {
  static const OpDef kRow = defineOperator<Range>(
      "Range", Access::Opaque,
      {{"", "Range", 11, 0, importRange}, {"", "EyeLike", 9, 0, importEyeLike}});
  return kRow;
}

}  // namespace carnot
