#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace carnot {

// Where each matrix of a batch starts in an operand that broadcasts over the batch's dims, in
// elements. The operand's last `matrixAxes` dims (or all, where it has fewer) are one matrix's.
std::vector<int64_t> matrixOffsets(std::span<const int64_t> dims, size_t matrixAxes,
                                   std::span<const int64_t> batch);

}  // namespace carnot
