#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace carnot {

// What config.json says of a model of the Llama family.
struct LlamaConfig {
  int64_t layers = 0, hidden = 0, intermediate = 0, vocabulary = 0;
  int64_t heads = 0, kvHeads = 0, headSize = 0;
  int64_t maxPositions = 0;
  double normEpsilon = 1e-5;
  bool tiedEmbeddings = false, attentionBias = false, mlpBias = false;
  // Radians that each pair of a head turns by from one position to the next: headSize / 2.
  std::vector<float> frequencies;
};

// From the text of a config.json. Throws Error: InvalidModel for what is no such or contradicts
// itself, Unsupported, naming it, for a model, activation or rotary scaling that is not done here.
LlamaConfig parseLlamaConfig(const std::string& text);

}  // namespace carnot
