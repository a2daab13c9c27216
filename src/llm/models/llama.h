#pragma once

#include "ir/graph.h"
#include "llm/models/config.h"
#include "llm/models/safetensors.h"

namespace carnot {

struct LlamaOptions {
  DType type = DType::F32;       // of weights and of what layers compute
  DType cacheType = DType::F32;  // float32, float16 or bfloat16
  int64_t blockSize = 16;        // tokens in a block of the cache
};

// The graph of one step: include/carnot/llm.h tells of its inputs, states and output. Throws what
// Safetensors::read throws.
Graph llamaGraph(const LlamaConfig& config, const Safetensors& weights,
                 const LlamaOptions& options);

}  // namespace carnot
