#include "ops/attention.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/error.h"
#include "ops/define.h"
#include "ops/elements.h"
#include "ops/onnx_attention.h"
#include "ops/requirements.h"

namespace carnot {

static void infer(const Attention&, InferContext& context) {
  const Shape &q = context.shape(0), &k = context.shape(1), &v = context.shape(2);
  context.require(q.rank() == 4 && k.rank() == 4 && v.rank() == 4,
                  fmt::format("{}, {} and {}", q.toString(), k.toString(), v.toString()),
                  "[batch, heads, length, size] each");
  requireFloat(context, 0);
  context.requireSameDType(0, 1);
  context.requireSameDType(0, 2);
  context.requireEqual(q[0], k[0], "batches of queries and keys");
  context.requireEqual(q[0], v[0], "batches of queries and values");
  context.requireEqual(k[1], v[1], "heads of keys and values");
  context.requireEqual(q[3], k[3], "sizes of a query and of a key");
  context.requireEqual(k[2], v[2], "numbers of keys and of values");
  if (k[1] != q[1])
    context.requireEqual(floorMod(q[1], k[1]), Dim(0),
                         "query heads left over by the key heads, and none");
  if (context.has(3)) {
    const Shape &mask = context.shape(3), scores{q[0], q[1], q[2], k[2]};
    context.require(
        mask.rank() <= 4 && (context.dtype(3) == DType::Bool || isFloat(context.dtype(3))),
        fmt::format("mask of type {}", context.type(3).toString()),
        "Bool or floating point, of rank 4 at most");
    for (size_t axis = 0; axis < mask.rank(); ++axis)
      if (mask[axis] != Dim(1))
        context.requireEqual(mask[axis], scores[4 - mask.rank() + axis],
                             fmt::format("mask {} over {}", mask.toString(), scores.toString()));
  }
  context.setOutput(0, context.dtype(0), {q[0], q[1], q[2], v[3]});
}

namespace {

constexpr double kHidden = -std::numeric_limits<double>::infinity();

// What is added to the score of each key before the softmax.
struct Mask {
  const TensorView* view = nullptr;
  std::vector<int64_t> strides;

  double operator()(int64_t batch, int64_t head, int64_t query, int64_t key) const {
    if (!view) return 0;
    const int64_t at[] = {batch, head, query, key};
    const int64_t i = offsetOf(at, strides);
    if (view->dtype == DType::Bool) return view->loadBool(i) ? 0 : kHidden;
    return view->loadDouble(i);
  }
};

// exp(score - max) / sum in place; all zero when every key is hidden.
void softmaxRow(std::vector<double>& row) {
  const double most = row.empty() ? kHidden : *std::max_element(row.begin(), row.end());
  double sum = 0;
  for (double& score : row) {
    score = most == kHidden ? 0 : std::exp(score - most);
    sum += score;
  }
  for (double& score : row) score /= most == kHidden ? 1 : sum;
}

}  // namespace

static void reference(const Attention& attention, const ReferenceContext& context) {
  const auto q = context.in(0).dims, k = context.in(1).dims, v = context.in(2).dims;
  const int64_t batches = q[0], heads = q[1], queries = q[2], size = q[3];
  const int64_t keys = k[2], valueSize = v[3], shared = k[1] == 0 ? 1 : heads / k[1];
  const std::vector<double> query = loadDoubles(context.in(0)), key = loadDoubles(context.in(1));
  const std::vector<double> value = loadDoubles(context.in(2));
  const int64_t scores[] = {batches, heads, queries, keys};
  Mask mask;
  if (context.has(3)) mask = {&context.in(3), broadcastStrides(context.in(3).dims, scores)};
  const int64_t last = attention.causal == Causal::None        ? keys
                       : attention.causal == Causal::FromStart ? 0
                                                               : keys - queries;
  std::vector<double> row(static_cast<size_t>(keys));
  const int64_t rows[] = {batches, heads, queries};
  int64_t out = 0;
  forEachIndex(rows, [&](std::span<const int64_t> at) {
    const int64_t batch = at[0], head = at[1], i = at[2];
    const int64_t plane = batch * k[1] + head / shared;
    const double* x = query.data() + out / std::max<int64_t>(1, valueSize) * size;
    for (int64_t j = 0; j < keys; ++j) {
      const double* y = key.data() + (plane * keys + j) * size;
      double dot = 0;
      for (int64_t d = 0; d < size; ++d) dot += x[d] * y[d];
      const bool seen = attention.causal == Causal::None || j <= i + last;
      row[static_cast<size_t>(j)] =
          seen ? attention.scale * dot + mask(batch, head, i, j) : kHidden;
    }
    softmaxRow(row);
    for (int64_t d = 0; d < valueSize; ++d) {
      double sum = 0;
      for (int64_t j = 0; j < keys; ++j)
        if (row[static_cast<size_t>(j)] != 0)
          sum += row[static_cast<size_t>(j)] *
                 value[static_cast<size_t>((plane * keys + j) * valueSize + d)];
      context.out(0).storeDouble(out++, sum);
    }
  });
}

static Cost cost(const Attention& attention, const CostContext& context) {
  const std::vector<int64_t> q = context.inputs[0].shape.concrete();
  const std::vector<int64_t> v = context.inputs[2].shape.concrete();
  double scores =
      static_cast<double>(q[0] * q[1]) * static_cast<double>(q[2]) * static_cast<double>(v[2]);
  if (attention.causal != Causal::None) scores /= 2;
  return {.flops = scores * static_cast<double>(2 * q[3] + 2 * v[3] + 5),
          .bytes = context.allBytes()};
}

template <>
const OpDef& definitionOf<Attention>() {
  static const OpDef kRow = defineOperator<Attention>("Attention", Access::Window,
                                                      {{"", "Attention", 23, 0, importAttention}});
  return kRow;
}

}  // namespace carnot
