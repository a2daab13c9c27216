#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>

#include "ops/scalar.h"

namespace carnot {

// What the portable kernels share: products over vectors that any compiler lowers, and epilogues
// that are interpreted a few dozen elements at a time.

constexpr int64_t kPortableWidth = 8;  // columns of a panel of B

// C[m × n] = A[m × k] · B[k × n]; strides in floats. B: panels of kPortableWidth columns, each
// [k][kPortableWidth], the last one filled up.
void portableProduct(const float* a, int64_t aStride, const float* b, float* c, int64_t cStride,
                     int64_t m, int64_t n, int64_t k);

// Why a program over float32 operands is not interpreted.
std::optional<std::string> portableEpilogueRefusal(const ScalarProgram& program);

constexpr size_t kMaxPortableOperands = 16;

// One row of C through a program: Input 0 is what outputs[0] holds; Input i is operands[i - 1], one
// float for all elements or, where `dense`, one for each.
struct PortableRow {
  std::array<float*, kMaxPortableOperands> outputs;
  std::array<const float*, kMaxPortableOperands> operands;
  std::array<bool, kMaxPortableOperands> dense;
};
void portableEpilogue(const ScalarProgram& program, const PortableRow& row, int64_t count);

}  // namespace carnot
