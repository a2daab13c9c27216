#pragma once

#include <string>

#include "ops/operator.h"

namespace carnot {

enum class RecurrentCell : uint8_t { Rnn, Gru, Lstm };
constexpr RecurrentCell lastOf(RecurrentCell) { return RecurrentCell::Lstm; }
enum class RecurrentDirection : uint8_t { Forward, Reverse, Both };
constexpr RecurrentDirection lastOf(RecurrentDirection) { return RecurrentDirection::Both; }

// ONNX RNN, GRU and LSTM over sequences laid out time first. `gates` is 1, 3 (z r h) or 4 (i o f
// c), `directions` 2 for Both, else 1. Inputs:
//   x [time, batch, size], w [directions, gates * hidden, size],
//   r [directions, gates * hidden, hidden],
//   optional bias [directions, 2 * gates * hidden]: of w, then of r,
//   optional lengths int32 [batch]: steps of each sequence; those after give 0 and change no state,
//   optional h [directions, batch, hidden]: the state at first, else 0,
//   for Lstm: optional c, as h, and optional peepholes [directions, 3 * hidden]: i, o, f.
// Outputs: y [time, directions, batch, hidden], last h, and for Lstm last c: [directions, batch,
// hidden].
struct Recurrent {
  RecurrentCell cell = RecurrentCell::Rnn;
  RecurrentDirection direction = RecurrentDirection::Forward;
  // One for each activation of a direction: RNN f, GRU f g, LSTM f g h; with their parameters.
  std::vector<std::string> activations = {};
  std::vector<double> alphas = {}, betas = {};
  double clip = 0;                 // bounds what activations take to [-clip, clip]; 0: nothing
  bool linearBeforeReset = false;  // Gru: h's recurrent product comes before the reset gate
  bool coupled = false;            // Lstm: the forget gate is 1 - the input gate

  void visit(auto& fields) {
    fields("cell", cell);
    fields("direction", direction);
    fields("activations", activations);
    fields("alphas", alphas);
    fields("betas", betas);
    fields("clip", clip);
    fields("linearBeforeReset", linearBeforeReset);
    fields("coupled", coupled);
  }
  int64_t gates() const;
  int64_t directions() const { return direction == RecurrentDirection::Both ? 2 : 1; }
  size_t activationsEach() const;  // of a direction
};
template <>
const OpDef& definitionOf<Recurrent>();

// The parameters that an activation has when a model names none; null: no such activation.
struct RecurrentActivation {
  const char* name;
  bool hasAlpha, hasBeta;
  double alpha, beta;
};
const RecurrentActivation* findRecurrentActivation(std::string_view name);

}  // namespace carnot
