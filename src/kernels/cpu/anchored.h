#pragma once

#include <string>
#include <variant>
#include <vector>

#include "codegen/cpu/tile.h"
#include "kernels/parameters.h"

namespace carnot {

// One operator and the pointwise steps behind it: what a kernel with an epilogue carries out.
struct AnchoredRegion {
  const Region::Step* anchor = nullptr;
  std::vector<TensorType> types;  // of every local tensor
  TensorType result;              // of the anchor's output
  // Input 0: the anchor's result; outputs: the region's, in order. Empty when there is no tail.
  ScalarProgram program;
  std::vector<int> operands;  // of the program behind Input 0: region inputs
};

// Why a tail cannot be carried out on an instruction set; nullopt when it can.
using TailRefusal = std::optional<std::string> (*)(const ScalarProgram& program, IsaSet isa);

// The problem as an operator named `op`, alone or with a tail that is float32 throughout and keeps
// its shape; else why it is not. `sums`: of the operator's result, float32 or int32. The tail of
// int32 starts with its Cast to float32, which is Input 0 then.
std::variant<Refusal, AnchoredRegion> anchoredRegion(const Problem& problem, std::string_view op,
                                                     TailRefusal tailRefusal = epilogueRefusal,
                                                     DType sums = DType::F32);

// Puts `result + operand` in front of the tail; `input` is a region input.
void prependAddition(AnchoredRegion& region, int input);

// How an operand that broadcasts to `result` varies along each of result's axes. A result's axis of
// extent 1 counts as either.
enum class Along : uint8_t { Fixed, Varies, Either };
// Empty when a dim is neither the result's nor 1 for certain.
std::vector<Along> variationOf(const Shape& operand, const Shape& result);
// Whether it varies along the axes of [first, last) only, and along all of them.
bool variesExactlyAlong(std::span<const Along> variation, size_t first, size_t last);

}  // namespace carnot
