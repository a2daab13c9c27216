#include "kernels/cuda/product.h"

#include <fmt/format.h>

#include "base/shape.h"
#include "codegen/cuda/scalar_source.h"
#include "kernels/matrix_offsets.h"
#include "ops/mat_mul.h"

namespace carnot {
namespace {

bool ones(const Shape& shape, size_t from, size_t to) {
  for (size_t axis = from; axis < to; ++axis)
    if (shape[axis].tryConstant() != 1) return false;
  return true;
}

// How a tensor spreads over the result; nullopt when otherwise.
std::optional<Product::Spread> spreadOf(const Shape& shape, const Shape& result) {
  using Spread = Product::Spread;
  const size_t rank = shape.rank();
  if (ones(shape, 0, rank)) return Spread::One;
  if (shape == result) return Spread::PerElement;
  if (shape[rank - 1] == result[result.rank() - 1]) {
    if (ones(shape, 0, rank - 1)) return Spread::PerColumn;
    if (rank == result.rank() && rank == 3 && shape[0] == result[0] && ones(shape, 1, 2))
      return Spread::PerMatrixColumn;
    return std::nullopt;
  }
  if (rank != result.rank() || !ones(shape, rank - 1, rank)) return std::nullopt;
  for (size_t axis = 0; axis + 1 < rank; ++axis)
    if (shape[axis] != result[axis]) return std::nullopt;
  return Spread::PerRow;
}

// The one number that a tensor of the problem is known to be.
std::optional<double> knownNumber(const TensorDesc& desc) {
  if (!desc.constant || desc.constant->empty() || desc.constant->count() != 1 ||
      !isFloat(desc.dtype))
    return std::nullopt;
  return desc.constant->toDoubles()[0];
}

// Known numbers among the tail's operands become part of its code.
void foldNumbers(PointwiseTail& tail, const Problem& problem) {
  std::vector<int> left;
  std::vector<uint16_t> places(tail.operands.size() + 1, 0);
  std::vector<std::optional<double>> numbers(tail.operands.size() + 1);
  for (size_t i = 0; i < tail.operands.size(); ++i) {
    const int operand = tail.operands[i];
    if (problem.region.isInput(operand)) numbers[i + 1] = knownNumber(problem.inputs[operand]);
    if (numbers[i + 1]) continue;
    left.push_back(operand);
    places[i + 1] = static_cast<uint16_t>(left.size());
  }
  for (ScalarNode& node : tail.program.nodes) {
    if (node.op != ScalarOp::Input || node.index == 0) continue;
    if (const auto number = numbers[node.index]) {
      node.op = ScalarOp::Constant;
      node.value = *number;
      node.index = 0;
    } else {
      node.index = places[node.index];
    }
  }
  tail.operands = std::move(left);
}

}  // namespace

std::variant<Refusal, Product> readProduct(const Problem& problem) {
  const Region& region = problem.region;
  const Region::Step* anchor = region.anchor();
  const MatMul* op = anchor ? anchor->op.as<MatMul>() : nullptr;
  if (!op) return Refusal{fmt::format("multiplies matrices, not {}", region.label())};
  Product product{.a = anchor->inputs[0],
                  .b = anchor->inputs[1],
                  .transposeA = op->transposeA,
                  .transposeB = op->transposeB,
                  .tf32 = problem.tf32};
  if (!region.isInput(product.a) || !region.isInput(product.b))
    return Refusal{"computes nothing before the product"};
  const TensorDesc &a = problem.inputs[product.a], &b = problem.inputs[product.b];
  product.dtype = a.dtype;
  if (a.dtype != DType::F32 && a.dtype != DType::F16 && a.dtype != DType::BF16 &&
      a.dtype != DType::F64)
    return Refusal{fmt::format("multiplies floats, not {}", dtypeName(a.dtype))};
  if (b.shape.rank() < 2) return Refusal{"the second operand is a vector"};
  product.rowAxis = a.shape.rank() > 1;
  const Dim& k = a.shape[a.shape.rank() - (op->transposeA ? 2 : 1)];
  if (k.tryConstant() == 0) return Refusal{"sums nothing"};
  const std::vector<TensorType> types = problem.tensorTypes();
  const int from = anchor->firstOutput;
  const TensorType& result = types[from];
  product.tail.product = product.tail.out = product.dtype;
  if (region.outputs.size() != 1) return Refusal{"gives one tensor"};
  if (region.outputs[0] == from) return product;
  auto tail = pointwiseTail(region, from, types);
  if (!tail) return Refusal{"the steps behind it are not pointwise"};
  if (types[region.outputs[0]].shape != result.shape)
    return Refusal{"the steps behind it change the shape"};
  foldNumbers(*tail, problem);
  if (auto reason = cuda::refuseScalars(tail->program)) return Refusal{*reason};
  if (tail->operands.size() > cuda::ProductTail::kMostOperands)
    return Refusal{fmt::format("the steps behind it read at most {} tensors",
                               cuda::ProductTail::kMostOperands)};
  for (int operand : tail->operands) {
    if (!region.isInput(operand)) return Refusal{"computes nothing beside the product"};
    auto spread = spreadOf(types[operand].shape, result.shape);
    if (!spread)
      return Refusal{
          fmt::format("a tensor {} behind a product {}, neither of one shape nor one "
                      "value a row or column",
                      types[operand].shape.toString(), result.shape.toString())};
    product.operands.push_back({operand, *spread});
    product.tail.operands.push_back({types[operand].dtype, *spread != Product::Spread::One &&
                                                               *spread != Product::Spread::PerRow});
  }
  product.tail.out = types[region.outputs[0]].dtype;
  product.tail.program = std::move(tail->program);
  return product;
}

std::optional<int64_t> evenStride(const std::vector<int64_t>& offsets) {
  const int64_t stride = offsets.size() > 1 ? offsets[1] - offsets[0] : 0;
  for (size_t i = 0; i < offsets.size(); ++i)
    if (offsets[i] != stride * static_cast<int64_t>(i)) return std::nullopt;
  return stride;
}

ProductShape shapeProduct(const Product& product, std::span<const int64_t> a,
                          std::span<const int64_t> b, std::span<const int64_t> result) {
  const size_t matrixAxes = product.rowAxis ? 2 : 1;
  ProductShape shape;
  shape.n = result.back();
  shape.k = a[a.size() - (product.transposeA ? 2 : 1)];
  shape.m = product.rowAxis ? a[a.size() - (product.transposeA ? 1 : 2)] : 1;
  auto batch = result.first(result.size() - matrixAxes);
  if (shape.m == 0 || shape.n == 0) return shape;
  shape.aOffsets = matrixOffsets(a, matrixAxes, batch);
  shape.bOffsets = matrixOffsets(b, 2, batch);
  if (shape.empty()) return shape;
  // Matrices of a batch that share b are one taller matrix.
  const auto strideA = evenStride(shape.aOffsets), strideB = evenStride(shape.bOffsets);
  bool perMatrix = false;
  for (const Product::Operand& operand : product.operands)
    perMatrix |= operand.spread == Product::Spread::PerMatrixColumn;
  if (strideB == 0 && !product.transposeA && !perMatrix && strideA &&
      (shape.matrices() == 1 || *strideA == shape.m * shape.k)) {
    shape.m *= shape.matrices();
    shape.aOffsets = shape.bOffsets = {0};
  }
  return shape;
}

cuda::TailOperand tailOperand(const Product& product, size_t operand, const ProductShape& shape) {
  const int64_t bytes = dtypeBits(product.tail.operands[operand].dtype) / 8;
  switch (product.operands[operand].spread) {
    case Product::Spread::PerMatrixColumn:
      return {nullptr, shape.n * bytes, 0};
    case Product::Spread::PerRow:
      return {nullptr, shape.m * bytes, bytes};
    case Product::Spread::PerElement:
      return {nullptr, shape.m * shape.n * bytes, shape.n * bytes};
    default:
      return {};
  }
}

}  // namespace carnot
