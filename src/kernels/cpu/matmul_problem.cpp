#include "kernels/cpu/matmul_problem.h"

#include <fmt/core.h>

#include <algorithm>

#include "kernels/cpu/tile_pointers.h"
#include "kernels/matrix_offsets.h"
#include "ops/mat_mul.h"

namespace carnot {

std::optional<Refusal> findOperandKinds(const Problem& problem, MatMulProblem& product) {
  const Shape& result = product.region.result.shape;
  for (int operand : product.region.operands) {
    const Shape& shape = problem.inputs[static_cast<size_t>(operand)].shape;
    const auto variation = variationOf(shape, result);
    if (variation.empty())
      return Refusal{fmt::format("{} does not broadcast to {} for certain", shape.toString(),
                                 result.toString())};
    const size_t rank = result.rank();
    const bool columns = variation[rank - 1] == Along::Varies;
    const bool rows = product.rowAxis && variation[rank - 2] == Along::Varies;
    product.kinds.push_back(rows ? (columns ? EpilogueOperand::Element : EpilogueOperand::Row)
                                 : (columns ? EpilogueOperand::Column : EpilogueOperand::Scalar));
  }
  if (product.kinds.size() + problem.outputs.size() > kMaxTilePointers)
    return Refusal{"the steps behind the products take too many operands"};
  return std::nullopt;
}

std::variant<Refusal, MatMulProblem> matMulProblem(const Problem& problem,
                                                   TailRefusal tailRefusal) {
  auto anchored = anchoredRegion(problem, "MatMul", tailRefusal);
  if (auto* refusal = std::get_if<Refusal>(&anchored)) return *refusal;
  MatMulProblem out;
  out.region = std::get<AnchoredRegion>(std::move(anchored));
  const MatMul& op = *out.region.anchor->op.as<MatMul>();
  out.a = out.region.anchor->inputs[0];
  out.b = out.region.anchor->inputs[1];
  const TensorDesc& a = problem.inputs[static_cast<size_t>(out.a)];
  const TensorDesc& b = problem.inputs[static_cast<size_t>(out.b)];
  if (a.dtype != DType::F32) return Refusal{"multiplies float32"};
  if (b.shape.rank() < 2) return Refusal{"the second operand is a vector"};
  out.transposeA = op.transposeA;
  out.transposeB = op.transposeB;
  out.rowAxis = a.shape.rank() > 1;
  const Dim& k = a.shape[a.shape.rank() - (op.transposeA ? 2 : 1)];
  if (k.isConstant()) out.staticK = k.constant();
  if (auto refusal = findOperandKinds(problem, out)) return *refusal;
  return out;
}

std::variant<Refusal, IntegerMatMul> integerMatMul(const Problem& problem,
                                                   TailRefusal tailRefusal) {
  auto anchored = anchoredRegion(problem, "MatMulInteger", tailRefusal, DType::I32);
  if (auto* refusal = std::get_if<Refusal>(&anchored)) return *refusal;
  IntegerMatMul out;
  out.region = std::get<AnchoredRegion>(std::move(anchored));
  const std::vector<int>& inputs = out.region.anchor->inputs;
  out.a = inputs[0];
  out.b = inputs[1];
  out.aZero = inputs[2];
  out.bZero = inputs[3];
  const Shape& a = problem.inputs[static_cast<size_t>(out.a)].shape;
  if (problem.inputs[static_cast<size_t>(out.b)].shape.rank() < 2)
    return Refusal{"the second operand is a vector"};
  out.rowAxis = a.rank() > 1;
  if (a[a.rank() - 1].isConstant()) out.staticK = a[a.rank() - 1].constant();
  if (auto refusal = findOperandKinds(problem, out)) return *refusal;
  return out;
}

int32_t loadLevel(const void* data, DType dtype, int64_t i) {
  return dtype == DType::U8 ? int32_t{static_cast<const uint8_t*>(data)[i]}
                            : int32_t{static_cast<const int8_t*>(data)[i]};
}

MatMulShapes MatMulProblem::shapesOf(const std::vector<TensorType>& concrete) const {
  auto dimsOf = [&](int tensor) { return concrete[static_cast<size_t>(tensor)].shape.concrete(); };
  const std::vector<int64_t> left = dimsOf(a), right = dimsOf(b);
  std::vector<int64_t> batch = dimsOf(region.anchor->firstOutput);
  MatMulShapes shapes;
  shapes.n = batch.back();
  batch.resize(batch.size() - matrixAxes());
  shapes.k = left[left.size() - (transposeA ? 2 : 1)];
  if (rowAxis) shapes.m = left[left.size() - (transposeA ? 1 : 2)];
  shapes.aOffsets = matrixOffsets(left, matrixAxes(), batch);
  shapes.bOffsets = matrixOffsets(right, 2, batch);
  for (int operand : region.operands)
    shapes.operandOffsets.push_back(matrixOffsets(dimsOf(operand), matrixAxes(), batch));
  return shapes;
}

}  // namespace carnot
