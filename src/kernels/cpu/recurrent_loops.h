#pragma once

#include <cstdint>

namespace carnot {

// What one pass over the hidden units of a recurrent network computes. A step of a GRU that resets
// the state before its product takes two: the gates, then the candidate.
enum class RecurrentStage : uint8_t { Lstm, GruLinear, GruGates, GruCandidate, Rnn };
inline constexpr int kRecurrentStages = 5;

// A panel of weights holds, for each of k, `blocks` blocks of lanes hidden units, of each block all
// gates of the stage: [k][blocks][gates][lanes].
constexpr int gatesOf(RecurrentStage stage) {
  constexpr int kGates[] = {4, 3, 2, 1, 1};
  return kGates[static_cast<int>(stage)];
}
constexpr int blocksOf(RecurrentStage stage) { return gatesOf(stage) < 3 ? 2 : 1; }
constexpr int vectorsOf(RecurrentStage stage) { return gatesOf(stage) * blocksOf(stage); }

enum class RecurrentCurve : uint8_t {
  Relu,
  Tanh,
  Sigmoid,
  Affine,
  LeakyRelu,
  ThresholdedRelu,
  ScaledTanh,
  HardSigmoid,
  Elu,
  Softsign,
  Softplus,
};

struct RecurrentFunction {
  RecurrentCurve curve = RecurrentCurve::Tanh;
  float alpha = 0, beta = 0;
};

// How a cell turns its gates into a state.
struct RecurrentFormula {
  RecurrentFunction functions[3];  // f, g, h as ONNX names them
  float clip = 0;                  // of what the functions take; 0: none
  bool coupled = false;
  bool usual = true;  // Sigmoid, Tanh, Tanh without a clip (Rnn: Tanh)
};

// Some rows of inputs against one panel: out = bias + x · panel, [rows][vectors][lanes].
struct RecurrentInput {
  int rows = 0;                     // 1 … RecurrentLoops::mostRows
  int64_t k = 0;                    // elements of an input
  const float* const* x = nullptr;  // a pointer for each row
  const float *panel = nullptr, *bias = nullptr;
  float* out = nullptr;
  int64_t outStride = 0;  // floats from row to row
};

// One step of some rows of the batch for the hidden units of one panel. Pointers but `state` are at
// the panel's first unit; states lie `stride` floats apart from row to row.
struct RecurrentTile {
  int rows = 0;
  int64_t k = 0;      // hidden units
  int64_t units = 0;  // present in the panel
  const float* panel = nullptr;
  const float* fromInput = nullptr;  // RecurrentInput::out
  int64_t fromInputStride = 0;
  const float* state = nullptr;      // what the product reads, from its first unit on
  const float* stateBias = nullptr;  // GruLinear: of the candidate's product with the state
  const float* peepholes = nullptr;  // Lstm: i, o, f, peepholeStride apart; null: none
  int64_t stride = 0, peepholeStride = 0;
  const float* h = nullptr;
  float *next = nullptr, *c = nullptr, *update = nullptr, *kept = nullptr;
  float* const* y = nullptr;  // a pointer for each row; null: the sequence has ended
};

// Loops of recurrent networks compiled for one instruction set. Sigmoid is within 2.5, Tanh
// within 1.5 units in the last place.
struct RecurrentLoops {
  int lanes;
  int mostRows[kRecurrentStages];
  void (*input)(RecurrentStage stage, const RecurrentInput& input);
  void (*step)(RecurrentStage stage, const RecurrentFormula& formula, const RecurrentTile& tile);
};

const RecurrentLoops& recurrentLoopsPortable();
const RecurrentLoops& recurrentLoopsAvx2();
const RecurrentLoops& recurrentLoopsAvx512();

}  // namespace carnot
