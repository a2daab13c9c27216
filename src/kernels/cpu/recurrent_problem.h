#pragma once

#include <array>
#include <variant>
#include <vector>

#include "kernels/cpu/recurrent_loops.h"
#include "kernels/kernel.h"
#include "ops/recurrent.h"

namespace carnot {

// Which input of the operator is which.
struct RecurrentInputs {
  enum Input : size_t { kX, kW, kR, kBias, kLengths, kH, kC, kPeepholes, kCount };
};

// Where a direction's packed weights lie, in floats from the direction's first.
struct RecurrentWeights {
  struct Stage {
    RecurrentStage stage;
    int firstGate = 0;                       // of the operator's
    int64_t input = 0, state = 0, bias = 0;  // panels of W, of R; a panel's row of biases each
    int64_t width = 0, inputPanel = 0, statePanel = 0;  // floats of a panel's row, of a panel
    int64_t panels = 0;
  };
  RecurrentWeights(const Recurrent& op, int64_t size, int64_t hidden, int lanes);

  std::vector<Stage> stages;  // of one step, in order
  int64_t units = 0;          // of a state, padded to whole panels
  int64_t stateBias = 0, peepholes = 0;
  int64_t floats = 0;
};

// A recurrent network of float32 whose weights are constants.
struct RecurrentProblem : RecurrentInputs {
  Recurrent op;
  int64_t size = 0, hidden = 0;
  std::array<int, kCount> inputs;          // of the region; -1: absent
  std::array<int, 3> outputs;              // of the problem: y, last h, last c; -1: not asked for
  std::vector<int> runtimeInputs;          // of the region
  std::vector<RecurrentFormula> formulas;  // of each direction

  bool has(Input input) const { return inputs[input] >= 0; }
  bool reverse(int64_t direction) const {
    return op.direction == RecurrentDirection::Reverse || direction == 1;
  }
};

std::variant<Refusal, RecurrentProblem> recurrentProblem(const Problem& problem);
// All directions' weights, RecurrentWeights::floats each.
Tensor packRecurrent(const Problem& problem, const RecurrentProblem& recurrent, int lanes);

}  // namespace carnot
