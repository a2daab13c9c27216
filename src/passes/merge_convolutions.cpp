#include <algorithm>

#include "ops/conv.h"
#include "passes/match.h"
#include "passes/passes.h"

namespace carnot {

namespace {

bool all(const std::vector<int64_t>& values, int64_t wanted) {
  return std::all_of(values.begin(), values.end(), [&](int64_t value) { return value == wanted; });
}

bool hasBias(const Node* conv) { return conv->inputs.size() > 2 && conv->inputs[2]; }

// Weights and bias known, one group, floats wide enough to sum in.
bool isKnown(const Node* conv) {
  const Value* weight = conv->inputs[1];
  return conv->as<Conv>()->group == 1 && weight->isConstant() &&
         (weight->type.dtype == DType::F32 || weight->type.dtype == DType::F64) &&
         (!hasBias(conv) || conv->inputs[2]->isConstant());
}

// A product by channels: 1 x 1, every position, nothing around.
bool isByChannel(const Node* conv) {
  const std::vector<int64_t>& dims = conv->inputs[1]->constant->dims();
  return std::all_of(dims.begin() + 2, dims.end(), [](int64_t dim) { return dim == 1; }) &&
         all(conv->as<Conv>()->strides, 1) && all(conv->as<Conv>()->pads, 0);
}

// outer [M, K, inner...] times first [K, C] as [M, C, inner...].
Tensor composed(const Tensor& outer, const Tensor& first) {
  const int64_t m = outer.dims()[0], k = outer.dims()[1], c = first.dims()[1];
  const int64_t inner = outer.count() / (m * k);
  std::vector<int64_t> dims = outer.dims();
  dims[1] = c;
  Tensor result(outer.dtype(), std::move(dims));
  const std::vector<double> a = outer.toDoubles(), b = first.toDoubles();
  std::vector<double> row(static_cast<size_t>(c * inner));
  for (int64_t i = 0; i < m; ++i) {
    std::fill(row.begin(), row.end(), 0.0);
    for (int64_t j = 0; j < k; ++j)
      for (int64_t l = 0; l < c; ++l)
        for (int64_t p = 0; p < inner; ++p)
          row[l * inner + p] += a[(i * k + j) * inner + p] * b[j * c + l];
    for (int64_t p = 0; p < c * inner; ++p) result.view().storeDouble(i * c * inner + p, row[p]);
  }
  return result;
}

// What the first bias becomes behind the outer weights, with the outer bias.
Tensor composedBias(const Node* outer, const Node* first) {
  const Tensor& weight = *outer->inputs[1]->constant;
  const int64_t m = weight.dims()[0], k = weight.dims()[1], inner = weight.count() / (m * k);
  const std::vector<double> a = weight.toDoubles();
  std::vector<double> bias(static_cast<size_t>(m), 0.0), before(static_cast<size_t>(k), 0.0);
  if (hasBias(outer)) bias = outer->inputs[2]->constant->toDoubles();
  if (hasBias(first)) before = first->inputs[2]->constant->toDoubles();
  Tensor result(weight.dtype(), {m});
  for (int64_t i = 0; i < m; ++i) {
    for (int64_t j = 0; j < k * inner; ++j) bias[i] += a[i * k * inner + j] * before[j / inner];
    result.view().storeDouble(i, bias[i]);
  }
  return result;
}

}  // namespace

// A convolution right behind a 1 x 1 convolution, as one, where that is less work.
Proposal mergeConvolutions(const Graph& graph, Node* node, const PassOptions&) {
  if (!node->as<Conv>() || !isKnown(node)) return std::nullopt;
  const Node* first = ownProducerAs<Conv>(graph, node->inputs[0]);
  if (!first || !isKnown(first) || !isByChannel(first)) return std::nullopt;
  // In the zeros around, the first bias is missing.
  if (hasBias(first) && !all(node->as<Conv>()->pads, 0)) return std::nullopt;
  const Tensor &outer = *node->inputs[1]->constant, &inner = *first->inputs[1]->constant;
  const int64_t channels = inner.dims()[1], positions = outer.count() / outer.dims()[1];
  if (positions * channels > outer.count() + inner.count()) return std::nullopt;

  Patch patch("merge Conv", node, "less work than both");
  std::vector<Patch::Ref> inputs{first->inputs[0],
                                 patch.constant(composed(outer, inner), node->inputs[1]->name)};
  if (hasBias(node) || hasBias(first))
    inputs.push_back(patch.constant(composedBias(node, first), "bias"));
  patch.replace(node->outputs[0], patch.add(node->op, std::move(inputs)));
  return patch;
}

}  // namespace carnot
