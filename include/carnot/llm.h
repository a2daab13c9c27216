#pragma once

#include <carnot/network.h>

#include <cstdint>
#include <string>

namespace carnot {

struct CheckpointOptions {
  DType type = DType::F32;  // of weights and of what layers compute: float32, float16, bfloat16
  DType cacheType = DType::F32;  // of cached keys and values: likewise
  int64_t blockSize = 16;        // tokens in a block of the cache
};

// A language model from a Hugging Face folder (config.json, *.safetensors; models of the Llama
// family) as the network of one step over any number of sequences, prompts and single tokens alike.
//
// A step takes the new tokens of all sequences as one list of rows, sequence after sequence; rows
// behind the last sequence's are padding. Keys and values live in blocks of blockSize tokens, which
// the application hands out: a block may serve several sequences that begin alike. Inputs, int32:
//   token_ids    [tokens]
//   positions    [tokens]                        of each token in its sequence, from 0
//   block_tables [sequences, blocks_of_sequence] which block holds tokens 0 …, blockSize …, …
//   starts       [sequences + 1]                 first row of each sequence, then the end of all
//   lengths      [sequences]                     tokens of each, this step's among them
//   logit_rows   [rows]                          rows whose logits are wanted
// States, one a layer: cache.N [blocks, 2, kvHeads, blockSize, headSize], keys then values; no
// contents need be set before the first step. Output: logits [rows, vocabulary], float32.
//
// Throws Error: Io; InvalidModel for a damaged folder; Unsupported for another architecture or
// rotary scaling, naming it; InvalidArgument for options.
Network convertCheckpoint(const std::string& folder, const CheckpointOptions& options = {});

}  // namespace carnot
