#include "kernels/cpu/portable_product.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace carnot {
namespace {

typedef float Four __attribute__((vector_size(16), aligned(4), may_alias));

constexpr int kRows = 4;
constexpr int64_t kChunk = 64;    // elements of a row that an epilogue handles at once
constexpr size_t kMaxNodes = 48;  // of an epilogue

template <int Rows>
void tile(const float* a, int64_t aStride, const float* b, float* c, int64_t cStride, int64_t n,
          int64_t k) {
  Four low[Rows] = {}, high[Rows] = {};
  for (int64_t i = 0; i < k; ++i, b += kPortableWidth) {
    const Four b0 = *reinterpret_cast<const Four*>(b), b1 = *reinterpret_cast<const Four*>(b + 4);
#pragma GCC unroll 4
    for (int row = 0; row < Rows; ++row) {
      const float value = a[row * aStride + i];
      low[row] += value * b0;
      high[row] += value * b1;
    }
  }
#pragma GCC unroll 4
  for (int row = 0; row < Rows; ++row) {
    float* to = c + row * cStride;
    if (n >= kPortableWidth) {
      *reinterpret_cast<Four*>(to) = low[row];
      *reinterpret_cast<Four*>(to + 4) = high[row];
    } else {
      for (int64_t i = 0; i < n; ++i) to[i] = i < 4 ? low[row][i] : high[row][i - 4];
    }
  }
}

using Values = std::array<float, kChunk>;

template <typename F>
bool each(Values& out, F&& f) {
  for (size_t i = 0; i < kChunk; ++i) out[i] = f(i);
  return true;
}

// One node over a chunk; Bool is 0 or 1. False for an operation that has no code here.
bool evaluate(ScalarOp op, Values& out, const Values& a, const Values& b, const Values& c) {
  switch (op) {
    case ScalarOp::Add:
      return each(out, [&](size_t i) { return a[i] + b[i]; });
    case ScalarOp::Sub:
      return each(out, [&](size_t i) { return a[i] - b[i]; });
    case ScalarOp::Mul:
      return each(out, [&](size_t i) { return a[i] * b[i]; });
    case ScalarOp::Div:
      return each(out, [&](size_t i) { return a[i] / b[i]; });
    case ScalarOp::Fma:
      return each(out, [&](size_t i) { return a[i] * b[i] + c[i]; });
    case ScalarOp::Min:
      return each(out, [&](size_t i) { return a[i] < b[i] ? a[i] : b[i]; });
    case ScalarOp::Max:
      return each(out, [&](size_t i) { return a[i] > b[i] ? a[i] : b[i]; });
    case ScalarOp::Pow:
      return each(out, [&](size_t i) { return std::pow(a[i], b[i]); });
    case ScalarOp::Neg:
      return each(out, [&](size_t i) { return -a[i]; });
    case ScalarOp::Abs:
      return each(out, [&](size_t i) { return std::abs(a[i]); });
    case ScalarOp::Sqrt:
      return each(out, [&](size_t i) { return std::sqrt(a[i]); });
    case ScalarOp::Reciprocal:
      return each(out, [&](size_t i) { return 1 / a[i]; });
    case ScalarOp::Floor:
      return each(out, [&](size_t i) { return std::floor(a[i]); });
    case ScalarOp::Ceil:
      return each(out, [&](size_t i) { return std::ceil(a[i]); });
    case ScalarOp::RoundEven:
      return each(out, [&](size_t i) { return std::nearbyint(a[i]); });
    case ScalarOp::Trunc:
      return each(out, [&](size_t i) { return std::trunc(a[i]); });
    case ScalarOp::Exp:
      return each(out, [&](size_t i) { return std::exp(a[i]); });
    case ScalarOp::Log:
      return each(out, [&](size_t i) { return std::log(a[i]); });
    case ScalarOp::Erf:
      return each(out, [&](size_t i) { return std::erf(a[i]); });
    case ScalarOp::Tanh:
      return each(out, [&](size_t i) { return std::tanh(a[i]); });
    case ScalarOp::Sigmoid:
      return each(out, [&](size_t i) { return 1 / (1 + std::exp(-a[i])); });
    case ScalarOp::Equal:
      return each(out, [&](size_t i) { return a[i] == b[i]; });
    case ScalarOp::Less:
      return each(out, [&](size_t i) { return a[i] < b[i]; });
    case ScalarOp::LessEqual:
      return each(out, [&](size_t i) { return a[i] <= b[i]; });
    case ScalarOp::And:
      return each(out, [&](size_t i) { return a[i] != 0 && b[i] != 0; });
    case ScalarOp::Or:
      return each(out, [&](size_t i) { return a[i] != 0 || b[i] != 0; });
    case ScalarOp::Xor:
      return each(out, [&](size_t i) { return (a[i] != 0) != (b[i] != 0); });
    case ScalarOp::Not:
      return each(out, [&](size_t i) { return a[i] == 0; });
    case ScalarOp::Select:
      return each(out, [&](size_t i) { return a[i] != 0 ? b[i] : c[i]; });
    case ScalarOp::IsNan:
      return each(out, [&](size_t i) { return std::isnan(a[i]); });
    default:
      return false;
  }
}

}  // namespace

void portableProduct(const float* a, int64_t aStride, const float* b, float* c, int64_t cStride,
                     int64_t m, int64_t n, int64_t k) {
  for (int64_t row = 0; row < m; row += kRows) {
    const float* rowsOfA = a + row * aStride;
    for (int64_t column = 0; column < n; column += kPortableWidth) {
      const float* panel = b + column * k;
      float* to = c + row * cStride + column;
      const int64_t rest = n - column;
      switch (std::min<int64_t>(kRows, m - row)) {
        case 1:
          tile<1>(rowsOfA, aStride, panel, to, cStride, rest, k);
          break;
        case 2:
          tile<2>(rowsOfA, aStride, panel, to, cStride, rest, k);
          break;
        case 3:
          tile<3>(rowsOfA, aStride, panel, to, cStride, rest, k);
          break;
        default:
          tile<4>(rowsOfA, aStride, panel, to, cStride, rest, k);
      }
    }
  }
}

std::optional<std::string> portableEpilogueRefusal(const ScalarProgram& program) {
  if (program.nodes.size() > kMaxNodes) return "are too many";
  Values values{}, out;
  for (const ScalarNode& node : program.nodes) {
    const bool truth = node.dtype == DType::Bool;
    if (node.dtype != DType::F32 && !truth) return "compute in another type than float32";
    if (node.op == ScalarOp::Input || node.op == ScalarOp::Constant) {
      if (truth) return "read truth values";
    } else if (!evaluate(node.op, out, values, values, values)) {
      return std::string("hold ") + scalarOpName(node.op);
    }
  }
  for (uint16_t output : program.outputs)
    if (program.nodes[output].dtype != DType::F32) return "give another type than float32";
  return std::nullopt;
}

void portableEpilogue(const ScalarProgram& program, const PortableRow& row, int64_t count) {
  std::array<Values, kMaxNodes> values;
  for (int64_t first = 0; first < count; first += kChunk) {
    const int64_t present = std::min(kChunk, count - first);
    for (size_t i = 0; i < program.nodes.size(); ++i) {
      const ScalarNode& node = program.nodes[i];
      Values& out = values[i];
      if (node.op == ScalarOp::Constant) {
        out.fill(static_cast<float>(std::get<double>(node.value)));
      } else if (node.op == ScalarOp::Input) {
        const bool dense = node.index == 0 || row.dense[node.index - 1];
        const float* from = node.index == 0 ? row.outputs[0] : row.operands[node.index - 1];
        if (!dense) {
          out.fill(*from);
          continue;
        }
        std::copy_n(from + first, present, out.begin());
        std::fill(out.begin() + present, out.end(), 0.0f);
      } else {
        evaluate(node.op, out, values[node.args[0]], values[node.args[1]], values[node.args[2]]);
      }
    }
    for (size_t i = 0; i < program.outputs.size(); ++i)
      std::copy_n(values[program.outputs[i]].begin(), present, row.outputs[i] + first);
  }
}

}  // namespace carnot
