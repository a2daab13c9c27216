#include "ops/softmax.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/error.h"
#include "ops/define.h"
#include "ops/elements.h"
#include "ops/onnx_axes.h"
#include "ops/requirements.h"

namespace carnot {

static void infer(const Softmax& softmax, InferContext& context) {
  const Shape& x = context.shape(0);
  requireAxis(context, softmax.axis);
  requireFloat(context, 0);
  context.setOutput(0, context.dtype(0), x);
}

static void reference(const Softmax& softmax, const ReferenceContext& context) {
  const TensorView &x = context.in(0), &y = context.out(0);
  const AxisSplit split = splitAt(x.dims, static_cast<size_t>(softmax.axis));
  std::vector<double> row(static_cast<size_t>(split.extent));
  for (int64_t outer = 0; outer < split.outer; ++outer) {
    for (int64_t inner = 0; inner < split.inner; ++inner) {
      const int64_t start = outer * split.extent * split.inner + inner;
      double most = -std::numeric_limits<double>::infinity(), sum = 0;
      for (int64_t i = 0; i < split.extent; ++i) {
        row[static_cast<size_t>(i)] = x.loadDouble(start + i * split.inner);
        most = std::max(most, row[static_cast<size_t>(i)]);
      }
      for (double value : row) sum += std::exp(value - most);
      for (int64_t i = 0; i < split.extent; ++i) {
        const double shifted = row[static_cast<size_t>(i)] - most;
        y.storeDouble(start + i * split.inner,
                      softmax.logarithm ? shifted - std::log(sum) : std::exp(shifted) / sum);
      }
    }
  }
}

static Cost cost(const Softmax&, const CostContext& context) {
  return {.flops = 5 * context.elements(), .bytes = context.allBytes()};
}

// Before opset 13 the dims from the axis on are one row.
template <bool kLogarithm>
static void importSoftmax(OnnxNode& node) {
  const OnnxNode::Ref x = node.requireInput(0);
  const Shape shape = node.shapeOf(x);
  const int64_t axis = importAxis(node, "axis", node.opset() < 13 ? 1 : -1, shape.rank());
  const Operator softmax = Operator::of(Softmax{axis, kLogarithm});
  const auto first = static_cast<size_t>(axis);
  if (node.opset() >= 13 || first + 1 == shape.rank())
    return node.setOutput(0, node.emit(softmax, {x}));
  Shape rows(std::vector<Dim>(shape.begin(), shape.begin() + axis));
  rows.push(shape.elementCount(first, shape.rank()));
  node.setOutput(0, emitReshape(node, node.emit(softmax, {emitReshape(node, x, rows)}), shape));
}

template <>
const OpDef& definitionOf<Softmax>() {
  static const OpDef kRow = defineOperator<Softmax>(
      "Softmax", Access::Reduce,
      {{"", "Softmax", 1, 0, importSoftmax<false>}, {"", "LogSoftmax", 1, 0, importSoftmax<true>}});
  return kRow;
}

}  // namespace carnot
