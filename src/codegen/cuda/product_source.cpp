#include "codegen/cuda/product_source.h"

#include <fmt/format.h>

#include "codegen/cuda/overlap.h"
#include "codegen/cuda/scalar_source.h"

namespace carnot::cuda {

std::string tailSource(const ProductTail& tail) {
  std::string text = R"(
template <typename T, int N> struct alignas(sizeof(T) * N) Pack {
  T at[N];
  __device__ void load(const char* from, int count) {
    if (count == N) *this = *(const Pack*)from;
    else for (int v = 0; v < N; ++v) at[v] = v < count ? ((const T*)from)[v] : T(0);
  }
  __device__ void store(char* to, int count) const {
    if (count == N) *(Pack*)to = *this;
    else for (int v = 0; v < N; ++v) if (v < count) ((T*)to)[v] = at[v];
  }
};
struct TailOperand { const char* address; long long matrix, row; };
)";
  text += fmt::format(
      "struct Tail {{ TailOperand operands[{}]; char* out; long long outMatrix, outRow; }};\n"
      "typedef {} Value;\n"
      "template <int V> __device__ inline void finish(const Tail& t, const Value (&x)[V],\n"
      "    long long matrix, long long row, long long column, int count) {{\n",
      ProductTail::kMostOperands, valueType(tail.product));
  for (size_t i = 0; i < tail.operands.size(); ++i) {
    const auto [dtype, alongColumns] = tail.operands[i];
    text += fmt::format(
        "  const char* p{0} = t.operands[{0}].address + matrix * t.operands[{0}].matrix + "
        "row * t.operands[{0}].row;\n",
        i);
    if (alongColumns)
      text += fmt::format("  Pack<{0}, V> in{1}; in{1}.load(p{1} + column * {2}, count);\n",
                          memoryType(dtype), i, dtypeBits(dtype) / 8);
    else
      text += fmt::format("  const {0} one{1} = *(const {0}*)p{1};\n", memoryType(dtype), i);
  }
  text += fmt::format("  Pack<{}, V> out;\n#pragma unroll\n  for (int v = 0; v < V; ++v) {{\n",
                      memoryType(tail.out));
  std::string result = "x[v]";
  if (!tail.program.nodes.empty()) {
    text += scalarStatements(
        tail.program, "e",
        [&](const ScalarNode& node) {
          if (node.index == 0) return std::string("x[v]");
          const size_t i = node.index - 1u;
          const auto [dtype, alongColumns] = tail.operands[i];
          return loaded(dtype, fmt::format("{}{}{}", alongColumns ? "in" : "one", i,
                                           alongColumns ? ".at[v]" : ""));
        },
        "    ");
    result = fmt::format("e{}", tail.program.outputs.at(0));
  }
  text += fmt::format(
      "    out.at[v] = {};\n  }}\n"
      "  out.store(t.out + matrix * t.outMatrix + row * t.outRow + column * {}, count);\n}}\n",
      stored(tail.out, result), dtypeBits(tail.out) / 8);
  return text;
}

std::string finishSource(const ProductTail& tail, int vector) {
  std::string text = kScalarPrelude;
  text += kOverlapPrelude;
  text += tailSource(tail);
  text += fmt::format("constexpr int kVector = {};\ntypedef {} Stored;\n", vector,
                      memoryType(tail.product));
  text += R"(
struct Arguments {
  Tail tail;
  const Stored* product;
  long long matrices, rows, columns;
};
extern "C" __global__ void __launch_bounds__(256)
carnotFinish(const __grid_constant__ Arguments a) {
  waitForInputs();
  const long long across = (a.columns + kVector - 1) / kVector;
  const long long all = a.matrices * a.rows * across, step = (long long)gridDim.x * blockDim.x;
  for (long long i = blockIdx.x * (long long)blockDim.x + threadIdx.x; i < all; i += step) {
    const long long line = i / across, column = (i - line * across) * kVector;
    const long long matrix = line / a.rows, row = line - matrix * a.rows;
    const int count = a.columns - column < kVector ? (int)(a.columns - column) : kVector;
    Pack<Stored, kVector> from;
    from.load((const char*)(a.product + line * a.columns + column), count);
    Value x[kVector];
#pragma unroll
    for (int v = 0; v < kVector; ++v) x[v] = )";
  text += loaded(tail.product, "from.at[v]");
  text += R"(;
    finish<kVector>(a.tail, x, matrix, row, column, count);
  }
}
)";
  return text;
}

}  // namespace carnot::cuda
