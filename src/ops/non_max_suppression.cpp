#include "ops/non_max_suppression.h"

#include <algorithm>
#include <array>
#include <limits>

#include "base/error.h"
#include "ops/define.h"
#include "ops/elements.h"
#include "ops/onnx_node.h"
#include "ops/requirements.h"

namespace carnot {

namespace {

struct Box {
  double low[2], high[2];

  double area() const { return (high[0] - low[0]) * (high[1] - low[1]); }
};

Box boxAt(const std::vector<double>& boxes, int64_t index, bool centers) {
  const double* at = boxes.data() + 4 * index;
  Box box;
  for (size_t axis = 0; axis < 2; ++axis) {
    const double a = centers ? at[axis] - at[axis + 2] / 2 : at[axis];
    const double b = centers ? at[axis] + at[axis + 2] / 2 : at[axis + 2];
    box.low[axis] = std::min(a, b);
    box.high[axis] = std::max(a, b);
  }
  return box;
}

double overlap(const Box& a, const Box& b) {
  double shared = 1;
  for (size_t axis = 0; axis < 2; ++axis)
    shared *=
        std::max(0.0, std::min(a.high[axis], b.high[axis]) - std::max(a.low[axis], b.low[axis]));
  const double all = a.area() + b.area() - shared;
  return all > 0 ? shared / all : 0;
}

}  // namespace

static void infer(const NonMaxSuppression&, InferContext& context) {
  const Shape &boxes = context.shape(0), &scores = context.shape(1);
  requireFloat(context, 0);
  requireFloat(context, 1);
  context.require(boxes.rank() == 3 && scores.rank() == 3,
                  "boxes " + boxes.toString() + ", scores " + scores.toString(),
                  "[batches, boxes, 4] and [batches, classes, boxes]");
  context.requireEqual(boxes[0], scores[0], "batches of boxes and scores");
  context.requireEqual(boxes[1], scores[2], "boxes and their scores");
  context.requireEqual(boxes[2], 4, "coordinates of a box");
  for (size_t i = 2; i < 5; ++i)
    if (context.has(i))
      context.require(context.shape(i).elementCount() == Dim(1),
                      "input of shape " + context.shape(i).toString(), "one element");
  context.setOutput(0, DType::I64, {context.freshSymbol("selected", scores.elementCount()), 3});
}

static void reference(const NonMaxSuppression& op, const ReferenceContext& context) {
  const std::vector<double> boxes = loadDoubles(context.in(0));
  const TensorView& scores = context.in(1);
  const int64_t batches = scores.dims[0], classes = scores.dims[1], count = scores.dims[2];
  const int64_t most = context.has(2) ? context.in(2).loadInt(0) : 0;
  const double tooMuch = context.has(3) ? context.in(3).loadDouble(0) : 0;
  const double least =
      context.has(4) ? context.in(4).loadDouble(0) : -std::numeric_limits<double>::infinity();
  std::vector<std::array<int64_t, 3>> selected;
  std::vector<std::pair<double, int64_t>> order;
  std::vector<Box> kept;
  for (int64_t batch = 0; batch < batches; ++batch)
    for (int64_t category = 0; category < classes; ++category) {
      order.clear();
      for (int64_t i = 0; i < count; ++i) {
        const double score = scores.loadDouble((batch * classes + category) * count + i);
        if (score > least) order.emplace_back(score, i);
      }
      std::stable_sort(order.begin(), order.end(),
                       [](const auto& a, const auto& b) { return a.first > b.first; });
      kept.clear();
      for (const auto& [score, index] : order) {
        if (static_cast<int64_t>(kept.size()) >= most) break;
        const Box box = boxAt(boxes, batch * count + index, op.centers);
        if (std::any_of(kept.begin(), kept.end(),
                        [&](const Box& other) { return overlap(box, other) > tooMuch; }))
          continue;
        kept.push_back(box);
        selected.push_back({batch, category, index});
      }
    }
  const TensorView y = context.allocate(0, {static_cast<int64_t>(selected.size()), 3});
  int64_t to = 0;
  for (const auto& row : selected)
    for (int64_t value : row) y.storeInt(to++, value);
}

static Cost cost(const NonMaxSuppression&, const CostContext& context) {
  return {.flops = 0, .bytes = context.allBytes()};
}

static void importNonMaxSuppression(OnnxNode& node) {
  std::vector<OnnxNode::Ref> inputs{node.requireInput(0), node.requireInput(1)};
  for (size_t i = 2; i < 5; ++i) inputs.push_back(node.input(i));
  NonMaxSuppression op{.centers = node.attributeInt("center_point_box", 0) != 0};
  node.setOutput(0, node.emit(Operator::of(op), inputs));
}

template <>
const OpDef& definitionOf<NonMaxSuppression>() {
  static const OpDef kRow = defineOperator<NonMaxSuppression>(
      "NonMaxSuppression", Access::Opaque,
      {{"", "NonMaxSuppression", 10, 0, importNonMaxSuppression}});
  return kRow;
}

}  // namespace carnot
