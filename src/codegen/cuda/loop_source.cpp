#include "codegen/cuda/loop_source.h"

#include <algorithm>

#include "codegen/cuda/loop_writer.h"
#include "codegen/cuda/overlap.h"

namespace carnot::cuda {
namespace {

constexpr size_t kMaxOperands = 32, kMaxTemporaries = 8;

const char* const kPackPrelude = R"(
template <typename T, int N> struct alignas(sizeof(T) * N) Pack {
  T at[N];
  __device__ void load(const char* from, bool whole, int count) {
    if (whole) *this = *(const Pack*)from;
    else for (int v = 0; v < N; ++v) if (v < count) at[v] = ((const T*)from)[v]; else at[v] = T(0);
  }
  __device__ void store(char* to, bool whole, int count) const {
    if (whole) *(Pack*)to = *this;
    else for (int v = 0; v < N; ++v) if (v < count) ((T*)to)[v] = at[v];
  }
};
)";

std::string argumentsOf(const Loop& loop, const LoopVariant& variant) {
  return fmt::format(
      "typedef {} Index;\n"
      "struct Operand {{ char* address; long long element, repeat, row, vector, outer[6]; }};\n"
      "struct Arguments {{\n"
      "  long long length, repeats, lanes, rows, units, extents[6];\n"
      "  Operand operands[{}];\n"
      "  char* temporaries[{}];\n"
      "}};\n",
      variant.wideIndices ? "unsigned long long" : "unsigned",
      std::max<size_t>(loop.operands.size(), 1), std::max<size_t>(loop.temporaries.size(), 1));
}

}  // namespace

std::string loopSource(const Loop& loop, const LoopVariant& variant) {
  std::string text = kScalarPrelude;
  text += kOverlapPrelude;
  text += kPackPrelude;
  if (loop.hasRows()) text += kReductionPrelude;
  text += argumentsOf(loop, variant);
  const auto function = loop.hasRows() ? rowFunction : flatFunction;
  text += function(loop, variant, kLoopFunction, variant.vector);
  if (variant.vector > 1) text += function(loop, variant, kLoopOfOnes, 1);
  return text;
}

std::optional<std::string> refuseLoopSource(const Loop& loop) {
  if (loop.operands.size() > kMaxOperands)
    return fmt::format("{} tensors, more than {}", loop.operands.size(), kMaxOperands);
  if (loop.temporaries.size() > kMaxTemporaries)
    return fmt::format("{} values kept between passes, more than {}", loop.temporaries.size(),
                       kMaxTemporaries);
  for (const Loop::Pass& pass : loop.passes)
    for (const Loop::Code* code : {&pass.row, &pass.elements})
      if (auto reason = refuseScalars(code->program)) return reason;
  return std::nullopt;
}

}  // namespace carnot::cuda
