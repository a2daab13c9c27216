// Products of 8-bit integers on any processor: both operands less their zero points in 16 bits,
// which compilers multiply and sum in pairs.

#include <algorithm>

#include "base/threads.h"
#include "kernels/cpu/matmul_problem.h"
#include "kernels/cpu/portable_kernel.h"
#include "kernels/cpu/portable_product.h"
#include "kernels/cpu/tile_kernels.h"

namespace carnot {
namespace {

constexpr int64_t kRowsOfBlock = 32;
constexpr int64_t kColumnsOfPanel = 16;
constexpr int64_t kExact = 1 << 14;  // products whose sum int32 holds

// One zero point, or one along axis `varying` counted from the last, the others 1.
bool isZeroPoint(const TensorDesc& zero, size_t varying) {
  const size_t rank = zero.shape.rank();
  const Dim count = zero.shape.elementCount();
  return count == Dim(1) || (rank >= varying && count == zero.shape[rank - varying]);
}

std::variant<Refusal, IntegerMatMul> analyze(const Problem& problem) {
  auto product = integerMatMul(problem, [](const ScalarProgram& program, IsaSet) {
    return portableEpilogueRefusal(program);
  });
  if (const auto* known = std::get_if<IntegerMatMul>(&product)) {
    auto desc = [&](int input) -> const TensorDesc& {
      return problem.inputs[static_cast<size_t>(input)];
    };
    if (known->aZero >= 0 && !isZeroPoint(desc(known->aZero), 2))
      return Refusal{"A's zero points vary along its columns or matrices"};
    if (known->bZero >= 0 && !isZeroPoint(desc(known->bZero), 1))
      return Refusal{"B's zero points vary along its rows or matrices"};
  }
  return product;
}

// Wraps, as int32 does.
int32_t dot(const int16_t* a, const int16_t* b, int64_t count) {
  uint32_t sum = 0;
  for (int64_t first = 0; first < count; first += kExact) {
    int32_t part = 0;
    for (int64_t i = first; i < std::min(count, first + kExact); ++i)
      part += int32_t{a[i]} * int32_t{b[i]};
    sum += static_cast<uint32_t>(part);
  }
  return static_cast<int32_t>(sum);
}

class PortableInt8 : public Executable {
 public:
  PortableInt8(const IntegerMatMul& product, const std::vector<int>& inputs,
               const std::vector<TensorType>& types, size_t outputs, int threads)
      : product_(product), shapes_(product.shapesOf(types)), outputs_(outputs) {
    for (int tensor : {product.a, product.b, product.aZero, product.bZero})
      levels_.push_back(
          tensor < 0 ? Levels{}
                     : Levels{static_cast<int>(positionOf(inputs, tensor)),
                              types[static_cast<size_t>(tensor)].dtype,
                              types[static_cast<size_t>(tensor)].shape.elementCount().constant()});
    for (int operand : product.region.operands)
      operandPositions_.push_back(positionOf(inputs, operand));
    parts_ = static_cast<int>(std::clamp<int64_t>(panels(), 1, threads));
  }

  size_t workspaceBytes() const override {
    return static_cast<size_t>(parts_ * partLevels()) * sizeof(int16_t);
  }

  void run(const RunArguments& arguments) const override {
    if (shapes_.m == 0 || shapes_.n == 0 || shapes_.aOffsets.empty()) return;
    arguments.pool->run(parts_, [&](int part) {
      const Range range = partOf(panels(), part, parts_);
      const Range columns{range.begin * kColumnsOfPanel,
                          std::min(range.end * kColumnsOfPanel, shapes_.n)};
      auto* workspace = static_cast<int16_t*>(arguments.workspace) + part * partLevels();
      for (size_t matrix = 0; matrix < shapes_.aOffsets.size(); ++matrix)
        runMatrix(arguments, matrix, columns, workspace);
    });
  }

 private:
  enum Operand : size_t { A, B, AZero, BZero };
  struct Levels {
    int position = -1;
    DType dtype = DType::U8;
    int64_t count = 0;
  };

  int64_t panels() const { return (shapes_.n + kColumnsOfPanel - 1) / kColumnsOfPanel; }
  int64_t partLevels() const {
    return (kRowsOfBlock + (panels() + parts_ - 1) / parts_ * kColumnsOfPanel) * shapes_.k;
  }
  int32_t level(const RunArguments& arguments, Operand of, int64_t i) const {
    const Levels& levels = levels_[of];
    if (levels.position < 0) return 0;
    return loadLevel(arguments.inputs[static_cast<size_t>(levels.position)], levels.dtype,
                     levels.count == 1 ? 0 : i);
  }

  void runMatrix(const RunArguments& arguments, size_t matrix, Range columns,
                 int16_t* workspace) const {
    const auto& [m, n, k, aOffsets, bOffsets, operandOffsets] = shapes_;
    int16_t *rows = workspace, *packed = workspace + kRowsOfBlock * k;
    for (int64_t column = columns.begin; column < columns.end; ++column) {
      const int32_t zero = level(arguments, BZero, column);
      int16_t* to = packed + (column - columns.begin) * k;
      for (int64_t i = 0; i < k; ++i)
        to[i] = static_cast<int16_t>(level(arguments, B, bOffsets[matrix] + i * n + column) - zero);
    }
    for (int64_t first = 0; first < m; first += kRowsOfBlock) {
      const int64_t last = std::min(m, first + kRowsOfBlock);
      for (int64_t row = first; row < last; ++row) {
        const int32_t zero = level(arguments, AZero, row);
        int16_t* to = rows + (row - first) * k;
        for (int64_t i = 0; i < k; ++i)
          to[i] = static_cast<int16_t>(level(arguments, A, aOffsets[matrix] + row * k + i) - zero);
      }
      for (int64_t row = first; row < last; ++row)
        finishRow(arguments, matrix, row, columns, rows + (row - first) * k, packed);
    }
  }

  void finishRow(const RunArguments& arguments, size_t matrix, int64_t row, Range columns,
                 const int16_t* a, const int16_t* packed) const {
    const int64_t k = shapes_.k;
    const int64_t element =
        (static_cast<int64_t>(matrix) * shapes_.m + row) * shapes_.n + columns.begin;
    const bool real = !product_.region.program.outputs.empty();
    for (int64_t i = 0; i < columns.size(); ++i) {
      const int32_t sum = dot(a, packed + i * k, k);
      if (real)
        static_cast<float*>(arguments.outputs[0])[element + i] = static_cast<float>(sum);
      else
        static_cast<int32_t*>(arguments.outputs[0])[element + i] = sum;
    }
    if (!real) return;
    PortableRow values{};
    for (size_t i = 0; i < outputs_; ++i)
      values.outputs[i] = static_cast<float*>(arguments.outputs[i]) + element;
    for (size_t i = 0; i < product_.kinds.size(); ++i) {
      const EpilogueOperand kind = product_.kinds[i];
      values.dense[i] = kind == EpilogueOperand::Element || kind == EpilogueOperand::Column;
      values.operands[i] = static_cast<const float*>(arguments.inputs[operandPositions_[i]]) +
                           shapes_.operandOffsets[i][matrix] +
                           (kind == EpilogueOperand::Element ? row * shapes_.n
                            : kind == EpilogueOperand::Row   ? row
                                                             : 0) +
                           (values.dense[i] ? columns.begin : 0);
    }
    portableEpilogue(product_.region.program, values, columns.size());
  }

  const IntegerMatMul& product_;
  const MatMulShapes shapes_;
  const size_t outputs_;
  std::vector<Levels> levels_;
  std::vector<size_t> operandPositions_;
  int parts_ = 1;
};

}  // namespace

const Kernel& matMulInt8Portable() {
  static const PortableKernel<IntegerMatMul, PortableInt8> kernel("cpu/matmul/int8/portable",
                                                                  analyze);
  return kernel;
}

}  // namespace carnot
