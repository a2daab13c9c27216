#pragma once

#include "ops/operator.h"

namespace carnot {

// Fourier transforms of a signal's frames. Inputs: x [N, samples, 1] real or [N, samples, 2] real
// and imaginary, optional window [frame], a factor of each sample of a frame. Output:
// [N, frames, bins, 2]: frames that lie wholly in the signal, `step` apart; frame / 2 + 1 bins when
// onesided, else `frame`.
struct Stft {
  int64_t frame = 1, step = 1;
  bool onesided = true;

  void visit(auto& fields) {
    fields("frame", frame);
    fields("step", step);
    fields("onesided", onesided);
  }
};
template <>
const OpDef& definitionOf<Stft>();

}  // namespace carnot
