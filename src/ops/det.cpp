#include "ops/det.h"

#include <cmath>
#include <utility>
#include <vector>

#include "ops/define.h"
#include "ops/onnx_node.h"
#include "ops/requirements.h"

namespace carnot {

static void infer(const Det&, InferContext& context) {
  const Shape& x = context.shape(0);
  requireReal(context, 0);
  context.require(x.rank() >= 2, x.toString(), "matrices: rank 2 or more");
  context.requireEqual(x[x.rank() - 2], x[x.rank() - 1], "rows and columns of a matrix");
  context.setOutput(
      0, context.dtype(0),
      Shape(std::vector<Dim>(x.begin(), x.begin() + static_cast<long>(x.rank()) - 2)));
}

// Gaussian elimination with the largest pivot of each column; destroys the matrix.
static double determinant(std::vector<double>& a, size_t n) {
  double product = 1;
  for (size_t column = 0; column < n; ++column) {
    size_t pivot = column;
    for (size_t row = column + 1; row < n; ++row)
      if (std::abs(a[row * n + column]) > std::abs(a[pivot * n + column])) pivot = row;
    if (a[pivot * n + column] == 0) return 0;
    if (pivot != column) {
      for (size_t i = 0; i < n; ++i) std::swap(a[pivot * n + i], a[column * n + i]);
      product = -product;
    }
    product *= a[column * n + column];
    for (size_t row = column + 1; row < n; ++row) {
      const double factor = a[row * n + column] / a[column * n + column];
      for (size_t i = column; i < n; ++i) a[row * n + i] -= factor * a[column * n + i];
    }
  }
  return product;
}

static void reference(const Det&, const ReferenceContext& context) {
  const TensorView &x = context.in(0), &y = context.out(0);
  const int64_t n = x.dims.back();
  std::vector<double> matrix(static_cast<size_t>(n * n));
  for (int64_t i = 0; i < y.count(); ++i) {
    for (int64_t at = 0; at < n * n; ++at)
      matrix[static_cast<size_t>(at)] = x.loadDouble(i * n * n + at);
    y.storeDouble(i, determinant(matrix, static_cast<size_t>(n)));
  }
}

static Cost cost(const Det&, const CostContext& context) {
  const double n = static_cast<double>(context.inputs[0].shape.concrete().back());
  return {.flops = context.elements() * 2 * n * n * n / 3, .bytes = context.allBytes()};
}

static void importDet(OnnxNode& node) {
  node.setOutput(0, node.emit(Operator::of(Det{}), {node.requireInput(0)}));
}

template <>
const OpDef& definitionOf<Det>() {
  static const OpDef kRow =
      defineOperator<Det>("Det", Access::Opaque, {{"", "Det", 11, 0, importDet}});
  return kRow;
}

}  // namespace carnot
