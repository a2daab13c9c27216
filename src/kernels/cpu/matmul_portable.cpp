#include <fmt/core.h>

#include <algorithm>

#include "base/threads.h"
#include "kernels/cpu/matmul_problem.h"
#include "kernels/cpu/pack_panels.h"
#include "kernels/cpu/portable_kernel.h"
#include "kernels/cpu/portable_product.h"
#include "kernels/cpu/tile_kernels.h"

namespace carnot {
namespace {

constexpr int64_t kRowsOfBlock = 32;

std::variant<Refusal, MatMulProblem> analyze(const Problem& problem) {
  return matMulProblem(problem, [](const ScalarProgram& program, IsaSet) {
    return portableEpilogueRefusal(program);
  });
}

class PortableMatMul : public Executable {
 public:
  PortableMatMul(const MatMulProblem& product, const std::vector<int>& inputs,
                 const std::vector<TensorType>& types, size_t outputs, int threads)
      : product_(product), inputs_(inputs), shapes_(product.shapesOf(types)), outputs_(outputs) {
    parts_ = static_cast<int>(std::clamp<int64_t>(panels(), 1, threads));
  }

  size_t workspaceBytes() const override {
    return static_cast<size_t>(parts_ * partFloats()) * sizeof(float);
  }

  void run(const RunArguments& arguments) const override {
    if (shapes_.m == 0 || shapes_.n == 0 || shapes_.aOffsets.empty()) return;
    arguments.pool->run(parts_, [&](int part) {
      const Range range = partOf(panels(), part, parts_);
      const Range columns{range.begin * kPortableWidth,
                          std::min(range.end * kPortableWidth, shapes_.n)};
      auto* workspace = static_cast<float*>(arguments.workspace) + part * partFloats();
      for (size_t matrix = 0; matrix < shapes_.aOffsets.size(); ++matrix)
        runMatrix(arguments, matrix, columns, workspace);
    });
  }

 private:
  int64_t panels() const { return (shapes_.n + kPortableWidth - 1) / kPortableWidth; }
  int64_t aFloats() const { return product_.transposeA ? kRowsOfBlock * shapes_.k : 0; }
  int64_t partFloats() const {
    return aFloats() + ((panels() + parts_ - 1) / parts_) * kPortableWidth * shapes_.k;
  }
  const float* input(const RunArguments& arguments, int tensor) const {
    return static_cast<const float*>(arguments.inputs[positionOf(inputs_, tensor)]);
  }

  void runMatrix(const RunArguments& arguments, size_t matrix, Range columns,
                 float* workspace) const {
    const auto& [m, n, k, aOffsets, bOffsets, operandOffsets] = shapes_;
    const float* a = input(arguments, product_.a) + aOffsets[matrix];
    const float* b = input(arguments, product_.b) + bOffsets[matrix];
    float* packed = workspace + aFloats();
    for (int64_t column = columns.begin; column < columns.end; column += kPortableWidth)
      packPanel(product_.transposeB ? b + column * k : b + column, product_.transposeB ? k : n,
                product_.transposeB, k, std::min(kPortableWidth, columns.end - column),
                kPortableWidth, packed + (column - columns.begin) * k);
    auto* c = static_cast<float*>(arguments.outputs[0]) + static_cast<int64_t>(matrix) * m * n;
    for (int64_t row = 0; row < m; row += kRowsOfBlock) {
      const int64_t rows = std::min(kRowsOfBlock, m - row);
      if (product_.transposeA) transposeBlock(a + row, m, k, rows, workspace, k);
      portableProduct(product_.transposeA ? workspace : a + row * k, k, packed,
                      c + row * n + columns.begin, n, rows, columns.size(), k);
      if (!product_.region.program.outputs.empty())
        for (int64_t i = row; i < row + rows; ++i) finishRow(arguments, matrix, i, columns);
    }
  }

  void finishRow(const RunArguments& arguments, size_t matrix, int64_t row, Range columns) const {
    PortableRow values{};
    const int64_t element =
        (static_cast<int64_t>(matrix) * shapes_.m + row) * shapes_.n + columns.begin;
    for (size_t i = 0; i < outputs_; ++i)
      values.outputs[i] = static_cast<float*>(arguments.outputs[i]) + element;
    for (size_t i = 0; i < product_.kinds.size(); ++i) {
      const EpilogueOperand kind = product_.kinds[i];
      values.dense[i] = kind == EpilogueOperand::Element || kind == EpilogueOperand::Column;
      values.operands[i] = input(arguments, product_.region.operands[i]) +
                           shapes_.operandOffsets[i][matrix] +
                           (kind == EpilogueOperand::Element ? row * shapes_.n
                            : kind == EpilogueOperand::Row   ? row
                                                             : 0) +
                           (values.dense[i] ? columns.begin : 0);
    }
    portableEpilogue(product_.region.program, values, columns.size());
  }

  const MatMulProblem& product_;
  const std::vector<int>& inputs_;
  const MatMulShapes shapes_;
  const size_t outputs_;
  int parts_ = 1;
};

}  // namespace

// Products on any processor.
const Kernel& matMulPortable() {
  static const PortableKernel<MatMulProblem, PortableMatMul> kernel("cpu/matmul/portable", analyze);
  return kernel;
}

}  // namespace carnot
