#pragma once

#include <vector>

#include "ops/operator.h"

namespace carnot {

// What an operator says of outputs whose dims only running it tells. Attributes of operators that
// have such: for each output its element type and rank, and all their dims one after another, -1
// for those not known.
void inferFound(InferContext& context, const std::vector<int64_t>& types,
                const std::vector<int64_t>& ranks, const std::vector<int64_t>& dims);

}  // namespace carnot
